"""One metric in each part of the test rows, by the values of named columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from registry.measuring.base import Impossible
from registry.measuring.quality import interval, measured
from training.pipeline.arrays import Floats
from training.pipeline.trainer.bootstrap import weights
from training.pipeline.trainer.evaluate import evaluate
from training.pipeline.types import SEED, Problem

if TYPE_CHECKING:
    from registry.measuring.bench import Examination

# A number with more values than this is cut at its quartiles; text may not have more levels.
LEVELS = 12
REPEATS = 500
# Beside the metrics of an evaluation: the share of rows decided positive (demographic parity).
POSITIVE_RATE = "positive_rate"


def by_column(
    exam: Examination,
    answers: Floats,
    threshold: float | None,
    columns: Sequence[str],
    metric: str,
) -> dict[str, Any]:
    """{"metric", "slices": [{"column", "slice", "n", "positives", "value", "low", "high"}]}.

    The value is None where the metric is not defined in a slice. Raises `Impossible` for a column
    that the data set does not have or that has too many levels.
    """
    frame = exam.columns
    unknown = [name for name in columns if name not in frame.columns]
    if unknown:
        raise Impossible(
            f"Data set {exam.table.name} has no column {', '.join(unknown)}; it has "
            f"{', '.join(map(str, frame.columns[:20]))}."
        )
    problem, truth = exam.table.problem, exam.truth
    known = sorted(evaluate(problem, truth, answers, threshold))
    if metric not in (*known, POSITIVE_RATE):
        raise Impossible(f"A {problem.value} problem has no {metric}; it has {', '.join(known)}.")
    rows = []
    for column in columns:
        for name, inside in parts(frame[column]):
            part = _measured(exam, inside, answers[inside], threshold, metric)
            positives = int(truth[inside].sum()) if problem is Problem.BINARY else None
            here = {"column": column, "slice": name, "n": int(inside.sum())}
            rows.append({**here, "positives": positives, **part})
    return {"metric": metric, "slices": rows}


def parts(values: pd.Series) -> Iterator[tuple[str, np.ndarray]]:
    """(name, rows as booleans) of each slice of a column; rows without a value are one too."""
    missing = values.isna().to_numpy()
    if pd.api.types.is_numeric_dtype(values) and values.nunique() > LEVELS:
        yield from _quartiles(values.to_numpy(dtype=np.float64), missing)
    else:
        levels = sorted(values.dropna().unique(), key=str)
        if len(levels) > LEVELS:
            raise Impossible(
                f"Column {values.name} has {len(levels)} values; slices need at most {LEVELS}."
            )
        for level in levels:
            shown = f"{level:g}" if isinstance(level, float) else str(level)
            yield shown, (values == level).to_numpy(dtype=bool)
    if missing.any():
        yield "missing", missing


def _quartiles(values: Floats, missing: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    edges = np.unique(np.quantile(values[~missing], [0, 0.25, 0.5, 0.75, 1]))
    for place, (low, high) in enumerate(pairwise(edges)):
        first = place == 0
        above = values >= low if first else values > low
        yield f"{'[' if first else '('}{low:g}, {high:g}]", above & (values <= high) & ~missing


def _measured(
    exam: Examination, inside: np.ndarray, answers: Floats, threshold: float | None, metric: str
) -> dict[str, Any]:
    problem, truth = exam.table.problem, exam.truth[inside]
    groups = None if exam.groups is None else exam.groups[inside]
    if metric == POSITIVE_RATE:
        if problem is not Problem.BINARY or threshold is None:
            raise Impossible("A positive rate needs a binary problem.")
        decided = (answers >= threshold).astype(np.float64)
        drawn = [w @ decided / w.sum(axis=1) for w in weights(len(decided), groups, REPEATS, SEED)]
        return {"value": float(decided.mean()), **interval(np.concatenate(drawn))}
    found = measured(problem, truth, answers, threshold, groups, repeats=REPEATS)
    return dict(found.get(metric) or {"value": None, "low": None, "high": None})
