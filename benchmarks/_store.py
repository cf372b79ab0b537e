"""Rows of MLflow's own SQL tables, written directly: through its API a large store takes hours."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def experiment_rows(count: int, *, at: int = 0) -> Iterator[dict[str, Any]]:
    """Experiments 1 to `count`, made at `at` (ms)."""
    for number in range(1, count + 1):
        yield {
            "experiment_id": number,
            "name": f"bench_{number}",
            "artifact_location": f"mlflow-artifacts:/{number}",
            "lifecycle_stage": "active",
            "creation_time": at,
            "last_update_time": at,
        }


def run_row(
    run_id: str, number: int, *, experiment: int, user: str, status: str, start: int, end: int
) -> dict[str, Any]:
    """One run; `start` and `end` in ms."""
    return {
        "run_uuid": run_id,
        "name": f"run-{number}",
        "source_type": "LOCAL",
        "source_name": "",
        "entry_point_name": "",
        "user_id": user,
        "status": status,
        "start_time": start,
        "end_time": end,
        "source_version": "",
        "lifecycle_stage": "active",
        "artifact_uri": f"mlflow-artifacts:/{experiment}/{run_id}/artifacts",
        "experiment_id": experiment,
    }
