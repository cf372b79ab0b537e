"""Features that give the target away."""

from __future__ import annotations

import numpy as np

from training.pipeline.arrays import Floats
from training.pipeline.data import Dataset
from training.pipeline.types import SEED, Problem

# A single feature that predicts this well is no predictor but the answer.
LEAK_SCORE = 0.99
SAMPLE = 20_000
FOLDS = 3


def leaking_features(data: Dataset) -> dict[str, str]:
    """Features that alone predict the target nearly perfectly, with the figure found.

    Each is given to a small decision tree and cross-validated: ROC AUC (binary), balanced
    accuracy (multiclass) or R² (regression) of at least .99, or a rank correlation of .995 for
    regression. O(features · n log n), on at most 20,000 rows.
    """
    rows = np.arange(len(data))
    if len(rows) > SAMPLE:
        rows = np.sort(np.random.default_rng(SEED).choice(rows, SAMPLE, replace=False))
    y = data.labels(rows)
    found: dict[str, str] = {}
    for name in data.features:
        column = _as_numbers(data, name)[rows]
        if why := _gives_away(column, y, data.problem):
            found[name] = why
    return found


def _as_numbers(data: Dataset, name: str) -> Floats:
    column = data.frame[name]
    if name in data.categories:
        return np.asarray(column.astype("category").cat.codes, dtype=np.float64)
    values = column.to_numpy(dtype=np.float64)
    limit = np.finfo(np.float32).max
    return np.asarray(np.clip(values, -limit, limit), dtype=np.float64)


def _gives_away(column: Floats, y: np.ndarray, problem: Problem) -> str:
    if problem is Problem.REGRESSION:
        present = ~np.isnan(column)
        correlation = _rank_correlation(column[present], y[present])
        if abs(correlation) >= 0.995:
            return f"rank correlation {correlation:.3f}"
    metric, score = _single_feature_score(column.reshape(-1, 1), y, problem)
    return f"{metric} {score:.3f} from it alone" if score >= LEAK_SCORE else ""


def _rank_correlation(a: Floats, b: Floats) -> float:
    from scipy.stats import spearmanr

    if len(np.unique(a)) < 3:
        return 0.0
    return float(spearmanr(a, b).statistic)


def _single_feature_score(X: Floats, y: np.ndarray, problem: Problem) -> tuple[str, float]:
    from sklearn.model_selection import KFold, StratifiedKFold, cross_val_score
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    if problem is Problem.REGRESSION:
        tree = DecisionTreeRegressor(max_leaf_nodes=256, random_state=SEED)
        folds = KFold(FOLDS, shuffle=True, random_state=SEED)
        metric = "r2"
    else:
        rarest = int(np.bincount(y.astype(int)).min())
        if rarest < FOLDS:
            return "roc_auc", 0.0
        tree = DecisionTreeClassifier(max_leaf_nodes=64, min_samples_leaf=3, random_state=SEED)
        folds = StratifiedKFold(FOLDS, shuffle=True, random_state=SEED)
        metric = "roc_auc" if problem is Problem.BINARY else "balanced_accuracy"
    score = float(cross_val_score(tree, X, y, cv=folds, scoring=metric).mean())
    return metric.replace("_", " "), score
