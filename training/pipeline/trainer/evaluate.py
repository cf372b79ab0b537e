"""Metrics of a fitted model on one split."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from training.pipeline.arrays import Floats
from training.pipeline.types import Problem

# precision@k looks at this share of the rows, those with the highest probability.
TOP_SHARE = 0.10
CALIBRATION_BINS = 10
_EPSILON = 1e-15


def evaluate(
    problem: Problem, y: np.ndarray, prediction: Floats, threshold: float | None = None
) -> dict[str, float]:
    """All metrics that are defined for these rows; one that is not is left out.

    `y` (n,); `prediction` as `fitting.predict` gives it; `threshold` for binary problems.
    """
    if problem is Problem.REGRESSION:
        found = _regression(y, prediction)
    elif problem is Problem.MULTICLASS:
        found = _multiclass(y, prediction)
    else:
        if threshold is None:
            raise ValueError("A binary evaluation needs the threshold chosen on validation.")
        found = _binary(y, prediction, threshold)
    return {name: float(value) for name, value in found.items() if np.isfinite(value)}


def youden_threshold(y: np.ndarray, probability: Floats) -> float:
    """The threshold with the largest sensitivity + specificity − 1; among equals the middle.

    A probability at or above it counts as positive. Youden 1950.
    """
    from sklearn.metrics import roc_curve

    fpr, tpr, thresholds = roc_curve(y, probability, drop_intermediate=False)
    gain = tpr - fpr
    best = np.flatnonzero(np.isclose(gain, gain.max()))
    value = float(thresholds[best[len(best) // 2]])
    return min(1.0, max(0.0, value)) if np.isfinite(value) else 0.5


def calibration_slope(y: np.ndarray, probability: Floats) -> float:
    """Slope b of logit P(y=1) = a + b·logit(p), unpenalised; 1 is ideal, below 1 over-confident.

    NaN where it does not exist: one class only, one probability only, or perfect separation.
    Cox 1958; fitted by Newton's method.
    """
    clipped = np.clip(probability, 1e-9, 1 - 1e-9)
    logit = np.log(clipped / (1 - clipped))
    if len(np.unique(y)) < 2 or np.ptp(logit) == 0 or _separates(y, logit):
        return float("nan")
    X = np.column_stack([np.ones_like(logit), logit])
    beta = np.array([0.0, 1.0])
    for _ in range(100):
        mean = 1 / (1 + np.exp(-np.clip(X @ beta, -500, 500)))
        weight = np.maximum(mean * (1 - mean), 1e-12)
        step = np.linalg.lstsq((X.T * weight) @ X, X.T @ (y - mean), rcond=None)[0]
        step *= min(1.0, 5.0 / max(float(np.abs(step).max()), 1e-12))
        beta = beta + step
        if float(np.abs(step).max()) < 1e-10:
            return float(beta[1])
    return float("nan")


def calibration_error(y: np.ndarray, probability: Floats) -> float:
    """Expected calibration error over ten equally filled bins."""
    points = calibration_points(y, probability)
    total = sum(count for _, _, count in points)
    return sum(count * abs(mean - rate) for mean, rate, count in points) / total


def calibration_points(y: np.ndarray, probability: Floats) -> list[tuple[float, float, int]]:
    """(mean probability, share of positives, rows) of up to ten equally filled bins."""
    order = np.argsort(probability, kind="stable")
    chunks = np.array_split(order, min(CALIBRATION_BINS, len(order)))
    return [(float(probability[c].mean()), float(y[c].mean()), len(c)) for c in chunks if len(c)]


def precision_at_top(y: np.ndarray, probability: Floats, share: float = TOP_SHARE) -> float:
    """Share of positives among the `share` of rows with the highest probability.

    Rows tied at the edge count by their average, so the order of the file does not matter.
    """
    k = max(1, round(share * len(y)))
    edge = np.partition(probability, len(y) - k)[len(y) - k]
    above = probability > edge
    tied = probability == edge
    hits = float(y[above].sum()) + float(y[tied].mean()) * (k - int(above.sum()))
    return hits / k


def _separates(y: np.ndarray, logit: Floats) -> bool:
    positive, negative = logit[y == 1], logit[y == 0]
    return bool(positive.min() >= negative.max() or positive.max() <= negative.min())


def _binary(y: np.ndarray, p: Floats, threshold: float) -> Mapping[str, float]:
    from sklearn import metrics as m

    decided = (p >= threshold).astype(int)
    negatives = int((y == 0).sum())
    both = 0 < negatives < len(y)
    nan = float("nan")
    return {
        "accuracy": m.accuracy_score(y, decided),
        "precision": m.precision_score(y, decided, zero_division=nan),
        "recall": m.recall_score(y, decided, zero_division=nan),
        "f1": m.f1_score(y, decided, zero_division=nan),
        "f1_macro": m.f1_score(y, decided, average="macro", zero_division=nan),
        "f1_weighted": m.f1_score(y, decided, average="weighted", zero_division=nan),
        "precision_macro": m.precision_score(y, decided, average="macro", zero_division=nan),
        "recall_macro": m.recall_score(y, decided, average="macro", zero_division=nan),
        "precision_weighted": m.precision_score(y, decided, average="weighted", zero_division=nan),
        "recall_weighted": m.recall_score(y, decided, average="weighted", zero_division=nan),
        "fpr": float(decided[y == 0].mean()) if negatives else nan,
        "roc_auc": m.roc_auc_score(y, p) if both else nan,
        "pr_auc": m.average_precision_score(y, p) if both else nan,
        "brier": m.brier_score_loss(y, p),
        "log_loss": m.log_loss(y, np.clip(p, _EPSILON, 1 - _EPSILON), labels=[0, 1]),
        "calibration_slope": calibration_slope(y, p),
        "calibration_error": calibration_error(y, p),
        "precision_at_k": precision_at_top(y, p),
    }


def _multiclass(y: np.ndarray, p: Floats) -> Mapping[str, float]:
    from sklearn import metrics as m

    labels = np.arange(p.shape[1])
    decided = p.argmax(axis=1)
    found: dict[str, float] = {"accuracy": m.accuracy_score(y, decided)}
    for average in ("macro", "weighted"):
        for name, score in (
            ("precision", m.precision_score),
            ("recall", m.recall_score),
            ("f1", m.f1_score),
        ):
            value = score(y, decided, average=average, labels=labels, zero_division=float("nan"))
            found[f"{name}_{average}"] = value
    if len(np.unique(y)) == len(labels):
        auc = m.roc_auc_score(y, p, multi_class="ovr", average="macro", labels=labels)
        found["roc_auc_ovr"] = auc
    found["log_loss"] = m.log_loss(y, np.clip(p, _EPSILON, 1), labels=labels)
    return found


def _regression(y: np.ndarray, prediction: Floats) -> Mapping[str, float]:
    from sklearn import metrics as m

    away_from_zero = np.abs(y) > 1e-12
    return {
        "rmse": m.root_mean_squared_error(y, prediction),
        "mae": m.mean_absolute_error(y, prediction),
        "r2": m.r2_score(y, prediction) if len(y) > 1 else float("nan"),
        "mape": m.mean_absolute_percentage_error(y, prediction)
        if away_from_zero.all()
        else float("nan"),
    }
