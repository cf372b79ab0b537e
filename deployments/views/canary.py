"""The steps of a canary as rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from deployments.canary import step_row, step_traffic, still_missing
from deployments.models import Canary


@dataclass(frozen=True)
class StepRow:
    """One share; `state` is past, now or later. What was not measured is None.

    `missing` is what the present step still needs.
    """

    share: int
    state: str
    began: datetime | None = None
    requests: int | None = None
    errors: int | None = None
    p99_ms: float | None = None
    missing: str = ""


def canary_steps(canary: Canary, now: datetime) -> list[StepRow]:
    """All steps: those that ended as they were kept, the present one as it is measured now."""
    rows = [_row(each, "past") for each in canary.measured]
    if canary.is_under_way:
        traffic = step_traffic(canary, now)
        missing = still_missing(canary, traffic, now)
        rows.append(_row(step_row(canary, traffic, now), "now", missing))
    later = canary.limits["steps"][len(rows) :]
    return [*rows, *(StepRow(share, "later") for share in later)]


def _row(measured: Mapping[str, Any], state: str, missing: str = "") -> StepRow:
    return StepRow(
        share=measured["share"],
        state=state,
        began=datetime.fromisoformat(measured["began"]),
        requests=measured["requests"],
        errors=measured["errors"],
        p99_ms=measured["p99_ms"],
        missing=missing,
    )
