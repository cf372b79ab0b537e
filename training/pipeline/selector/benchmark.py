"""Measuring algorithms: cross-validation on the training split, speed and size."""

from __future__ import annotations

import logging
import pickle
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from training.pipeline.algorithms import BASELINE, find
from training.pipeline.data import Dataset
from training.pipeline.fitting import Prepared, fit, predict, prepared_folds, primary_score
from training.pipeline.selector.state import (
    Baselines,
    Benchmarks,
    Choice,
    Measurement,
    Ranking,
    SelectionRequest,
)
from training.pipeline.splits import Splits
from training.pipeline.steps import NodeRecorder
from training.pipeline.types import Problem

logger = logging.getLogger(__name__)

LATENCY_CALLS = 30
DUMMY = "Dummy"


class Bench:
    """Folds of one data set, prepared once for scaled and once for plain numbers."""

    def __init__(self, data: Dataset, splits: Splits, request: SelectionRequest) -> None:
        self.data = data
        self.request = request
        self._splits = splits
        self._folds: dict[bool, list[Prepared]] = {}
        self._measured: dict[str, Measurement] = {}

    def folds(self, scale: bool) -> list[Prepared]:
        if scale not in self._folds:
            self._folds[scale] = list(
                prepared_folds(
                    self.data,
                    self._splits,
                    self.request.folds,
                    scale=scale,
                    seed=self.request.seed,
                )
            )
        return self._folds[scale]

    def measure(self, name: str) -> Measurement:
        """Cross-validate one algorithm; its failure is part of the result, not an exception."""
        if name not in self._measured:
            self._measured[name] = self._try(name)
        return self._measured[name]

    def _try(self, name: str) -> Measurement:
        try:
            return _cross_validate(name, self.data.problem, self._estimator, self._scaled(name))
        except Exception as error:
            logger.warning("The benchmark of %s failed", name, exc_info=True)
            return Measurement(name, error=f"{type(error).__name__}: {error}")

    def _scaled(self, name: str) -> Sequence[Prepared]:
        return self.folds(name != DUMMY and find(name).scale)

    def _estimator(self, name: str) -> Any:
        if name == DUMMY:
            return _dummy(self.data.problem)
        return find(name).make(
            self.data.problem, {}, seed=self.request.seed, n_jobs=self.request.n_jobs
        )


def run_benchmarks(bench: Bench, ranking: Ranking, recorder: NodeRecorder) -> Benchmarks:
    """Measure the best-ranked algorithms. Blocks when every one of them failed."""
    names = list(ranking.scores)[: bench.request.top]
    measured: dict[str, Measurement] = {}
    for done, name in enumerate(names):
        recorder.progress(f"Benchmark of {name}", done, len(names))
        recorder.raise_if_cancelled()
        measured[name] = bench.measure(name)
    recorder.progress("Benchmarks", len(names), len(names))
    if all(measurement.failed for measurement in measured.values()):
        errors = (f"{name} failed: {measured[name].error}" for name in names)
        return Benchmarks(measured, blocking=tuple(errors))
    return Benchmarks(measured)


def compare_baselines(bench: Bench, choice: Choice) -> Baselines:
    """Measure the baseline and the dummy on the folds that the winner was measured on."""
    winner = bench.measure(choice.primary)
    baseline = bench.measure(BASELINE[bench.data.problem])
    dummy = bench.measure(DUMMY)
    return Baselines(baseline, dummy, _gain(winner, baseline), _gain(winner, dummy))


def _gain(winner: Measurement, other: Measurement) -> float | None:
    if winner.mean is None or other.mean is None:
        return None
    return winner.mean - other.mean


def _cross_validate(
    name: str, problem: Problem, estimator: Any, folds: Sequence[Prepared]
) -> Measurement:
    scores: list[float] = []
    seconds = 0.0
    model: Any = None
    for fold in folds:
        model = estimator(name)
        started = time.perf_counter()
        fit(model, fold)
        seconds += time.perf_counter() - started
        value = primary_score(problem, fold.y_score, predict(model, fold.X_score, problem))
        if not np.isfinite(value):
            raise ValueError(f"the score of a fold is {value}")
        scores.append(value)
    return Measurement(
        name,
        fold_scores=tuple(scores),
        fit_seconds=seconds / len(folds),
        latency_ms=_latency(model, folds[-1], problem),
        memory_gb=len(pickle.dumps((folds[-1].preprocessing, model))) / 1e9,
    )


def _latency(model: Any, fold: Prepared, problem: Problem) -> float:
    """Median milliseconds for one raw row, preprocessing included, as when it is served."""
    times = []
    for _ in range(LATENCY_CALLS):
        started = time.perf_counter()
        predict(model, fold.preprocessing.transform(fold.row), problem)
        times.append(time.perf_counter() - started)
    return float(np.median(times) * 1000)


def _dummy(problem: Problem) -> Any:
    from sklearn.dummy import DummyClassifier, DummyRegressor

    return DummyClassifier(strategy="prior") if problem.is_classification else DummyRegressor()
