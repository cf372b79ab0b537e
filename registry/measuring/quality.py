"""Metrics of stored answers: with intervals, calibrated or not, better or not than another's.

Pure functions over arrays of n rows: `truth` (n,) class codes or numbers; answers (n,) or
(n, classes); `groups` (n,) numbers of rows that belong together and are drawn together, or None.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from training.metrics import goodness
from training.pipeline.arrays import Floats, Ints
from training.pipeline.trainer.bootstrap import LEVEL, percentiles, resampled, weights
from training.pipeline.trainer.evaluate import (
    calibration_error,
    calibration_points,
    calibration_slope,
    evaluate,
)
from training.pipeline.types import SEED, Problem

REPEATS = 1000
# Each repeat fits a logistic curve.
CALIBRATION_REPEATS = 200

Answer = tuple[Floats, float | None]


def measured(
    problem: Problem,
    truth: np.ndarray,
    answers: Floats,
    threshold: float | None,
    groups: Ints | None,
    *,
    repeats: int = REPEATS,
) -> dict[str, dict[str, float | None]]:
    """{metric: {"value", "low", "high"}}, percentile bootstrap; None where it has no interval."""
    values = evaluate(problem, truth, answers, threshold)
    (drawn,) = resampled(
        problem, truth, [(answers, threshold)], groups=groups, repeats=repeats, seed=SEED
    )
    return {
        name: {"value": value, **interval(drawn.get(name))}
        for name, value in sorted(values.items())
    }


def difference(
    problem: Problem,
    truth: np.ndarray,
    candidate: Answer,
    champion: Answer,
    groups: Ints | None,
    *,
    repeats: int = REPEATS,
) -> dict[str, dict[str, float | None]]:
    """By how much the candidate is better, a metric: {"value", "reference", "gain", "low", "high"}.

    A gain above 0 is better, whichever way the metric goes. Both are measured on the same
    resampled rows, so what is common to the rows cancels out: the paired bootstrap of Efron and
    Tibshirani 1993, sections 8.3 and 13.3.
    """
    mine, theirs = evaluate(problem, truth, *candidate), evaluate(problem, truth, *champion)
    ours, others = resampled(
        problem, truth, [candidate, champion], groups=groups, repeats=repeats, seed=SEED
    )
    found = {}
    for name in sorted(ours.keys() & mine.keys() & theirs.keys()):
        way = 1.0 if (goodness(name, 1.0) or 0.0) > 0 else -1.0
        found[name] = {
            "value": mine[name],
            "reference": theirs[name],
            "gain": way * (mine[name] - theirs[name]),
            **interval(way * (ours[name] - others[name])),
        }
    return found


def probabilities(truth: np.ndarray, answers: Floats) -> tuple[np.ndarray, Floats]:
    """What came true, and the probability that it would: (n,) and (n,).

    Of the positive class; with more classes of the most probable one, whether it was right (Guo et
    al. 2017).
    """
    if answers.ndim == 1:
        return truth, answers
    return (answers.argmax(axis=1) == truth).astype(np.float64), answers.max(axis=1)


def calibration(truth: np.ndarray, probability: Floats, groups: Ints | None) -> dict[str, Any]:
    """Slope and expected error with intervals, and the points of the curve; see `evaluate`."""
    slopes, errors = [], []
    for block in weights(len(truth), groups, CALIBRATION_REPEATS, SEED):
        for weight in block:
            drawn = np.repeat(np.arange(len(truth)), weight.astype(np.int64))
            slopes.append(calibration_slope(truth[drawn], probability[drawn]))
            errors.append(calibration_error(truth[drawn], probability[drawn]))
    slope = calibration_slope(truth, probability)
    return {
        "slope": {
            "value": float(slope) if np.isfinite(slope) else None,
            **interval(np.array(slopes)),
        },
        "error": {
            "value": calibration_error(truth, probability),
            **interval(np.array(errors)),
        },
        "points": [list(point) for point in calibration_points(truth, probability)],
    }


def interval(drawn: Floats | None) -> Mapping[str, float | None]:
    """{"low", "high", "level"} of resampled values; both ends None where there is no interval."""
    pair = None if drawn is None else percentiles(drawn)
    low, high = pair or (None, None)
    return {"low": low, "high": high, "level": LEVEL}
