"""The nodes between the splits and the evaluated model."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from training.pipeline import imbalance
from training.pipeline.algorithms import find
from training.pipeline.arrays import Floats, Ints
from training.pipeline.data import Dataset
from training.pipeline.fitting import predict, primary_score
from training.pipeline.framework import detect
from training.pipeline.imbalance import Imbalance
from training.pipeline.preprocessing import make_preprocessing
from training.pipeline.splits import Splits
from training.pipeline.trainer.bootstrap import intervals
from training.pipeline.trainer.curves import curves
from training.pipeline.trainer.evaluate import evaluate, youden_threshold
from training.pipeline.trainer.state import (
    Evaluation,
    Preprocessed,
    Resampled,
    Trained,
    TrainingRequest,
)
from training.pipeline.types import PRIMARY_METRIC, SEED, Problem, Split

EVALUATED = (Split.TRAIN, Split.VALIDATION, Split.TEST)
IMPORTANCE_ROWS = 2000
IMPORTANCE_ROWS_A_CLASS = 50
IMPORTANCE_REPEATS = 5


def fit_preprocessing(data: Dataset, splits: Splits, request: TrainingRequest) -> Preprocessed:
    """Fit preprocessing on the training rows alone."""
    rows = splits[Split.TRAIN]
    preprocessing = make_preprocessing(data, scale=find(request.algorithm).scale)
    X = preprocessing.fit_transform(data.take(rows))
    columns = tuple(str(name) for name in preprocessing.get_feature_names_out())
    return Preprocessed(preprocessing, X, data.labels(rows), columns)


def apply_resampling(
    prepared: Preprocessed, found: Imbalance, request: TrainingRequest
) -> Resampled:
    """Resample or weigh the training rows; validation and test stay as they are."""
    X, y = imbalance.resample(prepared.X, prepared.y, found.balancing, request.seed)
    weight = imbalance.weights(y, found.balancing)
    return Resampled(X, y, weight, found.balancing, rows_before=len(prepared.y))


def train_model(
    data: Dataset,
    prepared: Preprocessed,
    resampled: Resampled,
    params: Mapping[str, Any],
    request: TrainingRequest,
) -> Trained:
    """Fit the estimator and join it with its preprocessing: raw columns in, predictions out."""
    from sklearn.pipeline import Pipeline

    estimator = find(request.algorithm).make(
        data.problem, params, seed=request.seed, n_jobs=request.n_jobs
    )
    started = time.perf_counter()
    if resampled.weight is None:
        estimator.fit(resampled.X, resampled.y)
    else:
        estimator.fit(resampled.X, resampled.y, sample_weight=resampled.weight)
    seconds = time.perf_counter() - started
    model = Pipeline([("preprocessing", prepared.preprocessing), ("model", estimator)])
    return Trained(model, detect(model), seconds, dict(params))


def evaluate_model(
    data: Dataset, splits: Splits, trained: Trained, request: TrainingRequest
) -> Evaluation:
    """Choose the threshold on validation, then measure every split; test with intervals."""
    problem = data.problem
    answers = {name: predict(trained.model, data.take(splits[name]), problem) for name in EVALUATED}
    truth = {name: data.labels(splits[name]) for name in EVALUATED}
    threshold = None
    if problem is Problem.BINARY:
        threshold = youden_threshold(truth[Split.VALIDATION], answers[Split.VALIDATION])
    y, prediction = truth[Split.TEST], answers[Split.TEST]
    return Evaluation(
        primary_metric=PRIMARY_METRIC[problem],
        threshold=threshold,
        metrics={
            name.value: evaluate(problem, truth[name], answers[name], threshold)
            for name in EVALUATED
        },
        intervals=intervals(
            problem,
            y,
            prediction,
            threshold=threshold,
            groups=data.groups[splits[Split.TEST]] if data.is_grouped else None,
            seed=request.seed,
        ),
        curves=curves(problem, y, prediction, threshold),
        importance=_importance(trained.model, data, splits),
        classes=data.classes,
    )


def _importance(model: Any, data: Dataset, splits: Splits) -> dict[str, float]:
    """Mean loss of the primary metric on validation when one raw feature is shuffled."""
    generator = np.random.default_rng(SEED)
    rows = splits[Split.VALIDATION]
    if len(rows) > IMPORTANCE_ROWS:
        rows = _sample(data, rows, generator)
    X, y = data.take(rows), data.labels(rows)

    def score(table: Any) -> float:
        prediction: Floats = predict(model, table, data.problem)
        return primary_score(data.problem, y, prediction)

    whole = score(X)
    losses = {}
    for name in data.features:
        values = []
        for _ in range(IMPORTANCE_REPEATS):
            order = generator.permutation(len(X))
            values.append(whole - score(X.assign(**{name: X[name].to_numpy()[order]})))
        losses[name] = float(np.mean(values))
    return dict(sorted(losses.items(), key=lambda item: -item[1]))


def _sample(data: Dataset, rows: Ints, generator: np.random.Generator) -> Ints:
    """About 2,000 of the rows; of a class that few rows have, enough to rank the others against."""
    if not data.problem.is_classification:
        return np.sort(generator.choice(rows, IMPORTANCE_ROWS, replace=False))
    labels = data.labels(rows)
    kept = []
    for code in np.unique(labels):
        mine = rows[labels == code]
        wanted = max(IMPORTANCE_ROWS_A_CLASS, round(IMPORTANCE_ROWS * len(mine) / len(rows)))
        kept.append(generator.choice(mine, min(wanted, len(mine)), replace=False))
    return np.sort(np.concatenate(kept))
