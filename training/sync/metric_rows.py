"""The table of single metrics: what `TrainingRun.metrics` says, row by row."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from django.db import connection

from training.metrics import SPLITS, values
from training.models import RunMetric, TrainingRun
from training.sync.names import remember

BATCH = 500
_OWN = [f"{split}_metrics" for split in SPLITS]
_EXPAND = """
    INSERT INTO ml_run_metrics (run_id, key, value)
    SELECT run.id, metric.key, metric.value::float8
    FROM ml_training_runs run, jsonb_each_text(run.metrics) metric
    WHERE run.mlflow_run_id = ANY(%s) AND metric.value <> 'NaN'
"""


def _mirrored(metrics: Mapping[str, float | str]) -> dict[str, float]:
    return {key: float(value) for key, value in metrics.items()}


def add(metrics: Mapping[str, Mapping[str, float | str]]) -> None:
    """Index the metrics of runs that were inserted just now.

    Args:
        metrics: by MLflow's run id, as `TrainingRun.metrics` has them.
    """
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(_EXPAND, [list(metrics)])
            return
        pks = TrainingRun.objects.filter(mlflow_run_id__in=metrics)
        cursor.executemany(
            "INSERT INTO ml_run_metrics (run_id, key, value) VALUES (%s, %s, %s)",
            [
                (pk, key, float(value))
                for pk, run_id in pks.values_list("pk", "mlflow_run_id")
                for key, value in metrics[str(run_id)].items()
                if value != "NaN"
            ],
        )


def update(pks: Sequence[int]) -> None:
    """Index the metrics of runs that changed, and what our own runs measured themselves; only
    differences are written."""
    wanted = {
        (run.pk, key): value
        for run in TrainingRun.objects.filter(pk__in=pks).only("metrics", *_OWN)
        for key, value in {**_mirrored(run.metrics), **values(run)}.items()
        if not math.isnan(value)
    }
    there = RunMetric.objects.filter(run__in=pks).values_list("run_id", "key", "value")
    known = {(pk, key): value for pk, key, value in there}
    for pk, key in known.keys() - wanted.keys():
        RunMetric.objects.filter(run_id=pk, key=key).delete()
    remember({("metric", key) for _, key in wanted})
    RunMetric.objects.bulk_create(
        (
            RunMetric(run_id=pk, key=key, value=value)
            for (pk, key), value in wanted.items()
            if known.get((pk, key)) != value
        ),
        batch_size=BATCH,
        update_conflicts=True,
        unique_fields=["run", "key"],
        update_fields=["value"],
    )
