"""What plots show, as numbers small enough to store with the run."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from training.pipeline.arrays import Floats
from training.pipeline.trainer.evaluate import calibration_points
from training.pipeline.types import Json, Problem

POINTS = 200


@dataclass(frozen=True)
class Curves:
    """Points of the test split's curves; None where the problem has no such curve.

    `roc` (false positive rate, true positive rate), `pr` (recall, precision), `calibration`
    (mean probability, share of positives, rows), `confusion` rows = true class, columns = decided,
    `residuals` (predicted, true) of up to 200 rows.
    """

    roc: tuple[tuple[float, float], ...] | None = None
    pr: tuple[tuple[float, float], ...] | None = None
    calibration: tuple[tuple[float, float, int], ...] | None = None
    confusion: tuple[tuple[int, ...], ...] | None = None
    residuals: tuple[tuple[float, float], ...] | None = None

    def as_dict(self) -> dict[str, Json]:
        found: dict[str, Json] = {}
        for name in ("roc", "pr", "calibration", "confusion", "residuals"):
            points = getattr(self, name)
            if points is not None:
                found[name] = [list(point) for point in points]
        return found


def curves(problem: Problem, y: np.ndarray, prediction: Floats, threshold: float | None) -> Curves:
    """The curves of one split."""
    from sklearn.metrics import confusion_matrix, precision_recall_curve, roc_curve

    if problem is Problem.REGRESSION:
        rows = _spread(len(y))
        return Curves(residuals=_pairs(prediction[rows], y[rows]))
    if problem is Problem.MULTICLASS:
        labels = np.arange(prediction.shape[1])
        return Curves(confusion=_rows(confusion_matrix(y, prediction.argmax(1), labels=labels)))
    if threshold is None:
        raise ValueError("Binary curves need the threshold chosen on validation.")
    decided = (prediction >= threshold).astype(int)
    fpr, tpr, _ = roc_curve(y, prediction)
    precision, recall, _ = precision_recall_curve(y, prediction)
    return Curves(
        roc=_thin(fpr, tpr),
        pr=_thin(recall[::-1], precision[::-1]),
        calibration=tuple(calibration_points(y, prediction)),
        confusion=_rows(confusion_matrix(y, decided, labels=[0, 1])),
    )


def _thin(x: Floats, y: Floats) -> tuple[tuple[float, float], ...]:
    """At most 200 points, evenly spaced along the x axis, both ends kept."""
    if len(x) <= POINTS:
        return _pairs(x, y)
    wanted = np.linspace(x[0], x[-1], POINTS)
    kept = np.unique(np.clip(np.searchsorted(x, wanted), 0, len(x) - 1))
    kept[0], kept[-1] = 0, len(x) - 1
    return _pairs(x[kept], y[kept])


def _spread(n: int) -> np.ndarray:
    return np.unique(np.linspace(0, n - 1, min(n, POINTS)).astype(int))


def _pairs(x: Floats, y: Floats) -> tuple[tuple[float, float], ...]:
    return tuple((round(float(a), 6), round(float(b), 6)) for a, b in zip(x, y, strict=True))


def _rows(matrix: np.ndarray) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(int(cell) for cell in row) for row in matrix)
