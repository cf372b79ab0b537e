"""What the guard in front of MLflow has to know: a file, written whenever it changes."""

from __future__ import annotations

import fcntl
import json
import os
import re
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db.models import Max, Q

from e2i_site.mlflow_connector.guard.governed import note_digest
from registry.models import RegisteredModel, RegistryEntry
from training.choices import UNFINISHED_RUN

_LOGGED_MODEL = re.compile(r"\bm-[0-9a-f]{32}\b")
_MOVED = Q(stage_changes__isnull=False) & ~Q(stage_changes__from_stage="")


def governed() -> dict[str, Any]:
    """The document: governed models, versions with their runs, and the runs' experiments.

    A version is governed once somebody asked to promote it or E2I moved it, a model once one of
    its versions is or when E2I trained it.
    """
    rows = (
        RegistryEntry.objects.filter(Q(promotions__isnull=False) | _MOVED)
        .order_by("model_id", "model_version")
        .annotate(promotion=Max("promotions__id"))
        .values(
            "model_id",
            "model_version",
            "mlflow_run_id",
            "mlflow_model_uri",
            "description",
            "promotion",
            "training_run__status",
            "training_run__mlflow_experiment_id",
        )
    )
    versions = [_version(dict(row)) for row in rows]
    trained = RegisteredModel.objects.filter(experiment__isnull=False).values_list(
        "name", flat=True
    )
    return {
        "site": settings.SITE_URL,
        "models": sorted({*trained, *(version["model"] for version in versions)}),
        "versions": versions,
        "experiments": {
            row["training_run__mlflow_experiment_id"]: row["model_id"]
            for row in rows
            if row["training_run__mlflow_experiment_id"]
        },
    }


def _version(row: dict[str, Any]) -> dict[str, Any]:
    logged = _LOGGED_MODEL.search(row["mlflow_model_uri"])
    return {
        "model": row["model_id"],
        "version": str(row["model_version"]),
        "promotion": row["promotion"],
        "run": row["mlflow_run_id"],
        # A version without a run of ours has one that is over, or none.
        "ended": row["training_run__status"] not in UNFINISHED_RUN,
        "logged_model": logged[0] if logged else "",
        "note": note_digest(row["description"]),
    }


def publish(path: Path | None = None) -> bool:
    """Write the file if it differs from what is so now; whether it did.

    Reading the database and replacing the file is one step among processes, so an older state
    never overwrites a newer one.
    """
    path = path or settings.GUARD_LIST
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        content = json.dumps(governed(), indent=1).encode()
        if path.exists() and path.read_bytes() == content:
            return False
        fresh = path.with_suffix(".new")
        fresh.write_bytes(content)
        os.replace(fresh, path)  # noqa: PTH105 - atomic, and says so
        return True
