"""Fitting one estimator on some rows and asking it about others, without leaks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from training.pipeline import imbalance
from training.pipeline.arrays import Floats, Ints
from training.pipeline.data import Dataset
from training.pipeline.preprocessing import make_preprocessing
from training.pipeline.splits import Splits, folds
from training.pipeline.types import SEED, Balancing, Problem


@dataclass(frozen=True, eq=False)
class Prepared:
    """Rows as an estimator sees them: preprocessing was fitted on the fit rows alone.

    `row` is one raw row to score.
    """

    preprocessing: Any
    row: pd.DataFrame
    X_fit: Floats
    y_fit: np.ndarray
    X_score: Floats
    y_score: np.ndarray
    weight: Floats | None


def prepare(
    data: Dataset,
    fit: Ints,
    score: Ints,
    *,
    scale: bool,
    balancing: Balancing = Balancing.NONE,
    seed: int = SEED,
) -> Prepared:
    """Fit preprocessing on `fit`, apply it to both, resample or weigh the fit rows."""
    preprocessing = make_preprocessing(data, scale=scale)
    X = preprocessing.fit_transform(data.take(fit))
    X, y = imbalance.resample(X, data.labels(fit), balancing, seed)
    return Prepared(
        preprocessing=preprocessing,
        row=data.take(score[:1]),
        X_fit=X,
        y_fit=y,
        X_score=preprocessing.transform(data.take(score)),
        y_score=data.labels(score),
        weight=imbalance.weights(y, balancing),
    )


def prepared_folds(
    data: Dataset,
    splits: Splits,
    count: int,
    *,
    scale: bool,
    balancing: Balancing = Balancing.NONE,
    seed: int = SEED,
) -> Iterator[Prepared]:
    """The folds of the training split, each prepared on its own fit rows."""
    for fit, score in folds(data, splits, count, seed):
        yield prepare(data, fit, score, scale=scale, balancing=balancing, seed=seed)


def fit(estimator: Any, prepared: Prepared) -> Any:
    """Fit on the prepared rows; weights are given only where there are some."""
    if prepared.weight is None:
        return estimator.fit(prepared.X_fit, prepared.y_fit)
    return estimator.fit(prepared.X_fit, prepared.y_fit, sample_weight=prepared.weight)


def predict(model: Any, X: Any, problem: Problem) -> Floats:
    """Probability of the positive class (n,), of each class (n, k), or the number (n,)."""
    if problem is Problem.REGRESSION:
        return np.asarray(model.predict(X), dtype=np.float64)
    probabilities = np.asarray(model.predict_proba(X), dtype=np.float64)
    return probabilities[:, 1] if problem is Problem.BINARY else probabilities


def primary_score(problem: Problem, y: np.ndarray, prediction: Floats) -> float:
    """The figure candidates are compared by, higher is better: ROC AUC, OvR AUC or R²."""
    from sklearn.metrics import r2_score, roc_auc_score

    if problem is Problem.REGRESSION:
        return float(r2_score(y, prediction))
    if problem is Problem.BINARY:
        return float(roc_auc_score(y, prediction))
    labels = np.arange(prediction.shape[1])
    return float(roc_auc_score(y, prediction, multi_class="ovr", average="macro", labels=labels))
