"""model_trainer: its nodes in their order."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from training.pipeline import imbalance, splits
from training.pipeline.algorithms import find
from training.pipeline.data import Dataset
from training.pipeline.fitting import prepared_folds
from training.pipeline.imbalance import Imbalance
from training.pipeline.splits import Splits
from training.pipeline.steps import Blocked, NodeRecorder, Result, Steps
from training.pipeline.tracking import RunTracker, TrackedRun
from training.pipeline.trainer import fit, log, qc
from training.pipeline.trainer.hpo import TrialFact, Tuning, TuningRequest, tune
from training.pipeline.trainer.state import (
    Checkpoint,
    Logged,
    TrainingRequest,
    TrainingResult,
)
from training.pipeline.types import PRIMARY_METRIC

ORDER = (
    "check_qc_gate",
    "load_splits",
    "enforce_splits",
    "detect_class_imbalance",
    "fit_preprocessing",
    "apply_resampling",
    "tune_hyperparameters",
    "train_model",
    "evaluate_model",
    "log_to_mlflow",
    "save_checkpoint",
)

OnStart = Callable[[TrackedRun], None]
OnResult = Callable[[TrainingResult], None]
OnTrial = Callable[[TrialFact], None]


def train(
    data: Dataset,
    request: TrainingRequest,
    recorder: NodeRecorder,
    tracker: RunTracker,
    checkpoints: Path,
    *,
    run_name: str,
    journal_id: str | None = None,
    on_start: OnStart | None = None,
    on_result: OnResult | None = None,
    on_trial: OnTrial | None = None,
) -> TrainingResult:
    """Train one algorithm on `data` and keep the model below `checkpoints`.

    `on_start` hears of the run when it is tracked, `on_result` the result so far after each node,
    `on_trial` each finished trial. A gate that says no gives a result with `blocked_by` and ends
    the MLflow run FAILED. A failure to log is raised after the model has been kept.
    """
    find(request.algorithm)
    training = _Training(data, request, recorder, tracker, on_result, on_trial)
    try:
        with (
            tempfile.TemporaryDirectory(prefix="e2i-train-") as folder,
            tracker.start_run(
                log.mlflow_experiment(request),
                run_name=run_name,
                journal_id=journal_id,
                tags=_tags(data, request),
            ) as run,
        ):
            if on_start is not None:
                on_start(run)
            rows = training.prepare()
            found = training.fit(run, rows)
            training.deliver(run, found, Path(folder), checkpoints)
    except Blocked as blocked:
        training.update(blocked_by=blocked.node)
    return training.result


def _tags(data: Dataset, request: TrainingRequest) -> dict[str, Any]:
    return {
        "algorithm": request.algorithm,
        "problem_type": data.problem.value,
        "framework": find(request.algorithm).framework,
        "source": "e2i",
        "role": "training",
        "experiment_id": request.experiment_id,
        **(request.tags or {}),
    }


class _Training:
    """One training under way: each node reads typed results of earlier ones."""

    def __init__(
        self,
        data: Dataset,
        request: TrainingRequest,
        recorder: NodeRecorder,
        tracker: RunTracker,
        on_result: OnResult | None,
        on_trial: OnTrial | None,
    ) -> None:
        self._data = data
        self._request = request
        self._recorder = recorder
        self._tracker = tracker
        self._on_result = on_result
        self._on_trial = on_trial
        self._started = time.perf_counter()
        self._trial_journals: dict[int, str] = {}
        self._steps = Steps(ORDER, recorder)
        self.result = TrainingResult(data.problem)

    def update(self, **found: Any) -> None:
        self.result = replace(self.result, **found)
        if self._on_result is not None:
            self._on_result(self.result)

    def _node(
        self, name: str, field: str, work: Callable[[], Result], *, stoppable: bool = True
    ) -> Result:
        """Run a node and keep its result, also when it blocks."""

        def kept() -> Result:
            found = work()
            self.update(**{field: found})
            return found

        return self._steps.run(name, kept, stoppable=stoppable)

    def prepare(self) -> Splits:
        """The gates: the quality of the data, and the splits."""
        data, request = self._data, self._request
        planned = splits.split(data, seed=request.seed)
        self._node("check_qc_gate", "quality", lambda: qc.assess(data, planned))
        loaded = self._node("load_splits", "splits", lambda: _confirmed(planned, request))
        self._node("enforce_splits", "split_check", lambda: splits.enforce(data, loaded))
        return loaded

    def fit(self, run: TrackedRun, rows: Splits) -> log.Findings:
        """From the training rows to an evaluated model."""
        data, request = self._data, self._request
        balance = self._node(
            "detect_class_imbalance",
            "imbalance",
            lambda: imbalance.detect(data, rows, request.balancing),
        )
        prepared = self._node(
            "fit_preprocessing",
            "preprocessed",
            lambda: fit.fit_preprocessing(data, rows, request),
        )
        resampled = self._node(
            "apply_resampling",
            "resampled",
            lambda: fit.apply_resampling(prepared, balance, request),
        )
        tuning = self._node(
            "tune_hyperparameters", "tuning", lambda: self._tune(run, rows, balance)
        )
        trained = self._node(
            "train_model",
            "trained",
            lambda: fit.train_model(data, prepared, resampled, tuning.params, request),
        )
        evaluation = self._node(
            "evaluate_model",
            "evaluation",
            lambda: fit.evaluate_model(data, rows, trained, request),
        )
        seconds = time.perf_counter() - self._started
        return log.Findings(data, request, rows, balance, tuning, trained, evaluation, seconds)

    def deliver(self, run: TrackedRun, found: log.Findings, folder: Path, store: Path) -> None:
        """Log the model and keep it; a failure to log never loses it."""
        failure: Exception | None = None
        model = log.save(found, folder)
        try:
            self._node("log_to_mlflow", "logged", lambda: self._log(run, found, folder))
        except Exception as error:
            failure = error
        # MLflow has the version by now: whoever cancels comes too late.
        self._node(
            "save_checkpoint",
            "checkpoint",
            lambda: Checkpoint(*log.keep(model, store)),
            stoppable=False,
        )
        if failure is not None:
            raise failure

    def _log(self, run: TrackedRun, found: log.Findings, folder: Path) -> Logged:
        digest = log.log_training(run, found, folder)
        return Logged(run.journal_id, run.mlflow_run_id, digest, dict(self._trial_journals))

    def _tune(self, run: TrackedRun, rows: Splits, balance: Imbalance) -> Tuning:
        data, request = self._data, self._request
        algorithm = find(request.algorithm)
        folds = list(
            prepared_folds(
                data,
                rows,
                request.folds,
                scale=algorithm.scale,
                balancing=balance.balancing,
                seed=request.seed,
            )
        )
        wanted = TuningRequest(
            experiment_id=request.experiment_id,
            storage_url=request.storage_url,
            run_key=request.run_key,
            context=f"{data.digest} {rows.digests['train']} {balance.balancing.value}",
            rows=len(data),
            features=len(data.features),
            trials=request.trials,
            timeout_seconds=request.timeout_seconds,
            seed=request.seed,
            n_jobs=request.n_jobs,
        )

        def on_trial(fact: TrialFact) -> None:
            journal = log.log_trial(self._tracker, run, request, PRIMARY_METRIC[data.problem], fact)
            self._trial_journals[fact.number] = journal
            if self._on_trial is not None:
                self._on_trial(fact)

        return tune(algorithm, data.problem, folds, wanted, self._recorder, on_trial)


def _confirmed(planned: Splits, request: TrainingRequest) -> Splits:
    """The planned split, if it is the one that an earlier run on this data used."""
    if request.split_digests is not None and dict(request.split_digests) != planned.digests:
        raise RuntimeError(
            "The same data, strategy and seed now give other splits than in an earlier run; "
            "results would not be comparable. Train with another seed to start anew."
        )
    return planned
