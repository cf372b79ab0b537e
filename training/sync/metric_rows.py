"""The table of single metrics: what `TrainingRun.metrics` says, row by row."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from training.metrics import SPLITS, values
from training.models import RunMetric, TrainingRun
from training.sync.insert import copy, escaped, insert_rows, is_postgresql
from training.sync.names import remember

BATCH = 500
_OWN = [f"{split}_metrics" for split in SPLITS]
_COLUMNS = ("run_id", "key", "value")
#: Stands for the run until its primary key is known; in no text of ours is a NUL.
_RUN = "\0"
#: Rows of one run's metrics, as the database takes them.
Encoded = str | list[tuple[str, float]]


def _mirrored(metrics: Mapping[str, float | str]) -> dict[str, float]:
    return {key: float(value) for key, value in metrics.items()}


def encode(metrics: Mapping[str, float | str]) -> Encoded:
    """The metrics of a run that is not there yet, as `TrainingRun.metrics` has them."""
    if not is_postgresql():
        return [(key, float(value)) for key, value in metrics.items() if value != "NaN"]
    names = " ".join(metrics)
    plain = names.isprintable() and "\\" not in names
    return "".join(
        [
            f"{_RUN}\t{key if plain else escaped(key)}\t{value}\n"
            for key, value in metrics.items()
            if value != "NaN"
        ]
    )


def add(metrics: Mapping[int, Encoded]) -> None:
    """Index the metrics of runs that were inserted just now, by their primary keys."""
    if is_postgresql():
        lines = [str(some).replace(_RUN, str(pk)) for pk, some in metrics.items()]
        copy("ml_run_metrics", _COLUMNS, "".join(lines))
        return
    rows = [(pk, *row) for pk, some in metrics.items() if isinstance(some, list) for row in some]
    insert_rows("ml_run_metrics", _COLUMNS, rows)


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
