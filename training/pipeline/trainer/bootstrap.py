"""Confidence intervals by a seeded bootstrap, all repeats at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from training.pipeline.arrays import Floats, Ints
from training.pipeline.trainer.evaluate import TOP_SHARE
from training.pipeline.types import SEED, Problem

REPEATS = 1000
LEVEL = 0.95
# Repeats worked on at once are chosen so that a block of weights stays near 32 MB.
_BLOCK_CELLS = 4_000_000


def intervals(
    problem: Problem,
    y: np.ndarray,
    prediction: Floats,
    *,
    threshold: float | None = None,
    groups: Ints | None = None,
    repeats: int = REPEATS,
    seed: int = SEED,
) -> dict[str, tuple[float, float]]:
    """95 % percentile intervals a metric, from `repeats` resamples of the n rows.

    With `groups` whole groups are drawn, because rows of one group are not independent. A metric
    that is undefined in more than half of the resamples has no interval.
    """
    (drawn,) = resampled(
        problem, y, [(prediction, threshold)], groups=groups, repeats=repeats, seed=seed
    )
    found = {name: percentiles(values) for name, values in drawn.items()}
    return {name: pair for name, pair in found.items() if pair is not None}


def resampled(
    problem: Problem,
    y: np.ndarray,
    answers: Sequence[tuple[Floats, float | None]],
    *,
    groups: Ints | None = None,
    repeats: int = REPEATS,
    seed: int = SEED,
) -> list[dict[str, Floats]]:
    """For each (prediction, threshold) every metric in each of `repeats` resamples, (repeats,).

    All answers are measured on the same drawn rows, so their differences are paired.
    """
    blocks: list[list[dict[str, Floats]]] = [
        [_metrics(problem, y, given, threshold, weight) for given, threshold in answers]
        for weight in weights(len(y), groups, repeats, seed)
    ]
    return [
        {name: np.concatenate([block[place][name] for block in blocks]) for name in first}
        for place, first in enumerate(blocks[0])
    ]


def percentiles(values: Floats, level: float = LEVEL) -> tuple[float, float] | None:
    """The percentile interval of resampled values; None when over half of them are undefined.

    Efron and Tibshirani 1993, chapter 13.
    """
    tail = (1 - level) / 2
    finite = values[np.isfinite(values)]
    if len(finite) * 2 <= len(values):
        return None
    low, high = np.quantile(finite, [tail, 1 - tail])
    return float(low), float(high)


def weights(n: int, groups: Ints | None, repeats: int, seed: int) -> Iterator[Floats]:
    """How often each row is drawn in each repeat, (block, n), block by block."""
    generator = np.random.default_rng(seed)
    unit = np.arange(n) if groups is None else np.unique(groups, return_inverse=True)[1]
    units = int(unit.max()) + 1
    block = max(1, min(repeats, _BLOCK_CELLS // max(n, units)))
    for start in range(0, repeats, block):
        size = min(block, repeats - start)
        drawn = generator.multinomial(units, np.full(units, 1 / units), size=size)
        yield drawn[:, unit].astype(np.float64)


def _metrics(
    problem: Problem, y: np.ndarray, prediction: Floats, threshold: float | None, weight: Floats
) -> dict[str, Floats]:
    with np.errstate(divide="ignore", invalid="ignore"):
        if problem is Problem.REGRESSION:
            return _regression(y, prediction, weight)
        if problem is Problem.MULTICLASS:
            return _multiclass(y, prediction, weight)
        if threshold is None:
            raise ValueError("A binary bootstrap needs the threshold chosen on validation.")
        return _binary(y, prediction, threshold, weight)


def _binary(y: np.ndarray, p: Floats, threshold: float, weight: Floats) -> dict[str, Floats]:
    decided, positive = p >= threshold, y == 1
    total = weight.sum(axis=1)
    tp = weight @ (decided & positive).astype(float)
    fp = weight @ (decided & ~positive).astype(float)
    fn = weight @ (~decided & positive).astype(float)
    clipped = np.clip(p, 1e-15, 1 - 1e-15)
    loss = -np.where(positive, np.log(clipped), np.log(1 - clipped))
    return {
        "accuracy": 1 - (fp + fn) / total,
        "precision": tp / (tp + fp),
        "recall": tp / (tp + fn),
        "f1": 2 * tp / (2 * tp + fp + fn),
        "fpr": fp / (weight @ (~positive).astype(float)),
        "brier": weight @ ((p - y) ** 2) / total,
        "log_loss": weight @ loss / total,
        **_averages(
            np.stack([total - tp - fp - fn, tp]),
            np.stack([total - tp - fp, tp + fp]),
            np.stack([total - tp - fn, tp + fn]),
        ),
        **_ranking(positive, p, weight),
    }


def _ranking(positive: np.ndarray, p: Floats, weight: Floats) -> dict[str, Floats]:
    """ROC AUC, average precision and precision@k of every row of `weight`, ties handled."""
    order = np.argsort(-p, kind="stable")
    edges = np.flatnonzero(np.r_[True, np.diff(p[order]) != 0])
    w = weight[:, order]
    hits = np.add.reduceat(w * positive[order], edges, axis=1)
    misses = np.add.reduceat(w * ~positive[order], edges, axis=1)
    tp, fp = hits.cumsum(axis=1), misses.cumsum(axis=1)
    positives, negatives = tp[:, -1], fp[:, -1]
    ahead = tp - hits / 2
    seen = tp + fp
    precision = np.divide(tp, seen, out=np.ones_like(tp), where=seen > 0)
    k = np.maximum(1, np.round(TOP_SHARE * seen[:, -1]))[:, None]
    both = hits + misses
    taken = np.clip(k - (seen - both), 0, both)
    rate = np.divide(hits, both, out=np.zeros_like(hits), where=both > 0)
    return {
        "roc_auc": (misses * ahead).sum(axis=1) / (positives * negatives),
        "pr_auc": (hits * precision).sum(axis=1) / positives,
        "precision_at_k": (taken * rate).sum(axis=1) / k[:, 0],
    }


def _multiclass(y: np.ndarray, p: Floats, weight: Floats) -> dict[str, Floats]:
    decided = p.argmax(axis=1)
    total = weight.sum(axis=1)
    chosen = np.clip(p[np.arange(len(y)), y.astype(int)], 1e-15, 1)
    codes = np.arange(p.shape[1])[:, None]
    there, given = (y == codes).astype(float), (decided == codes).astype(float)
    areas = [_ranking(y == code, p[:, code], weight)["roc_auc"] for code in range(p.shape[1])]
    return {
        "accuracy": weight @ (decided == y).astype(float) / total,
        **_averages((there * given) @ weight.T, given @ weight.T, there @ weight.T),
        "roc_auc_ovr": np.mean(areas, axis=0),
        "log_loss": weight @ -np.log(chosen) / total,
    }


def _averages(hits: Floats, given: Floats, rows: Floats) -> dict[str, Floats]:
    """Precision, recall and F1 over all classes, each counting the same (macro) or by its rows.

    Args, each (classes, repeats): rows of the class that were given it, that were given it
    rightly or not, and that are of it.


    A class where one is undefined, because it was never decided on or is not there, is left out
    of its average, as in scikit-learn with zero_division=nan.
    """
    found = {}
    for name, scores in (
        ("precision", hits / given),
        ("recall", hits / rows),
        ("f1", 2 * hits / (given + rows)),
    ):
        defined = np.isfinite(scores)
        known = np.where(defined, scores, 0.0)
        found[f"{name}_macro"] = known.sum(axis=0) / defined.sum(axis=0)
        counting = rows * defined
        found[f"{name}_weighted"] = (known * counting).sum(axis=0) / counting.sum(axis=0)
    return found


def _regression(y: np.ndarray, prediction: Floats, weight: Floats) -> dict[str, Floats]:
    total = weight.sum(axis=1)
    squares = weight @ ((y - prediction) ** 2)
    centred = y - y.mean()
    mean = weight @ centred / total
    spread = weight @ centred**2 - total * mean**2
    return {
        "rmse": np.sqrt(squares / total),
        "mae": weight @ np.abs(y - prediction) / total,
        "r2": 1 - squares / spread,
        "mape": weight @ np.abs((y - prediction) / y) / total,
    }
