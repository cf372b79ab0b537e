"""Tuning hyperparameters with Optuna, on the folds of the training split."""

from __future__ import annotations

import hashlib
import json
import math
import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from training.pipeline.algorithms import Algorithm
from training.pipeline.fitting import Prepared, fit, predict, primary_score
from training.pipeline.steps import NodeRecorder
from training.pipeline.trainer.warm_start import find_nearest, profile
from training.pipeline.types import PRIMARY_METRIC, SEED, Json, Problem

if TYPE_CHECKING:
    import optuna

STARTUP_TRIALS = 10
PRUNER_STARTUP_TRIALS = 5
RUN_KEY = "training_run"
WARM_STARTED_FROM = "warm_started_from"


@dataclass(frozen=True)
class TuningRequest:
    """`context` names all that trial values depend on besides the parameters: data, split, folds.

    `storage_url` is an SQLAlchemy URL; `run_key` marks the trials of this training run, so that a
    run taken up again goes on where it was.
    """

    experiment_id: str
    storage_url: str
    run_key: str
    context: str
    rows: int
    features: int
    trials: int = 50
    timeout_seconds: float = 3600.0
    seed: int = SEED
    n_jobs: int = 1


@dataclass(frozen=True)
class TrialFact:
    """One trial as the study stores it. `state` is complete, pruned or failed."""

    study_name: str
    number: int
    state: str
    value: float | None
    params: Mapping[str, Any]
    intermediate: Mapping[int, float]
    error: str
    seconds: float | None


@dataclass(frozen=True)
class Tuning:
    """What was found. Without any trial the study name is empty and the defaults are used."""

    study_name: str
    metric: str
    params: Mapping[str, Any]
    best_value: float | None
    best_trial: int | None
    trials: tuple[TrialFact, ...]
    warm_started_from: str
    stopped_by: str
    blocking: tuple[str, ...] = ()

    def facts(self) -> dict[str, Json]:
        states = [trial.state for trial in self.trials]
        return {
            "study": self.study_name,
            "metric": self.metric,
            "best_value": self.best_value,
            "best_trial": self.best_trial,
            "trials": {state: states.count(state) for state in ("complete", "pruned", "failed")},
            "warm_started_from": self.warm_started_from,
            "stopped_by": self.stopped_by,
            "params": dict(self.params),
        }


OnTrial = Callable[[TrialFact], None]


def tune(
    algorithm: Algorithm,
    problem: Problem,
    folds: Sequence[Prepared],
    request: TuningRequest,
    recorder: NodeRecorder,
    on_trial: OnTrial | None = None,
) -> Tuning:
    """Search for the parameters with the best mean score over the folds.

    Raises RuntimeError when not one trial of the study is complete.
    """
    metric = PRIMARY_METRIC[problem]
    if request.trials == 0:
        return Tuning("", metric, dict(algorithm.defaults), None, None, (), "", "no trials wanted")
    search = _Search(algorithm, problem, folds, request, recorder)
    stopped_by = search.run(on_trial)
    study = search.study
    trials = tuple(
        _fact(trial, study.study_name) for trial in search.own_trials() if trial.state.is_finished()
    )
    if not any(trial.state.name == "COMPLETE" for trial in study.trials):
        errors = sorted({trial.error for trial in trials if trial.error})
        raise RuntimeError(f"All {len(trials)} trials failed: {'; '.join(errors)}")
    return Tuning(
        study_name=study.study_name,
        metric=metric,
        params={**algorithm.defaults, **study.best_trial.params},
        best_value=study.best_value,
        best_trial=study.best_trial.number,
        trials=trials,
        warm_started_from=str(study.user_attrs.get(WARM_STARTED_FROM, "")),
        stopped_by=stopped_by,
    )


def study_name(experiment_id: str, algorithm: str) -> str:
    """e2i_{experiment_id}_{algorithm}_hpo"""
    return f"e2i_{experiment_id}_{algorithm}_hpo"


class _Search:
    """One run's part in a study that other runs and workers may share."""

    def __init__(
        self,
        algorithm: Algorithm,
        problem: Problem,
        folds: Sequence[Prepared],
        request: TuningRequest,
        recorder: NodeRecorder,
    ) -> None:
        self._algorithm = algorithm
        self._problem = problem
        self._folds = folds
        self._request = request
        self._recorder = recorder
        self._storage = open_storage(request.storage_url)
        self.study = self._open_study()

    def run(self, on_trial: OnTrial | None) -> str:
        """Run the trials that are still owed; says what ended the search."""
        request = self._request
        self._close_interrupted()
        done = sum(trial.state.is_finished() for trial in self.own_trials())
        deadline = time.monotonic() + request.timeout_seconds
        while done < request.trials:
            if time.monotonic() > deadline:
                return f"the time limit of {request.timeout_seconds:g} s"
            self._recorder.progress("Trials", done, request.trials)
            self._recorder.raise_if_cancelled()
            number = self._one_trial()
            done += 1
            if on_trial is not None:
                on_trial(_fact(self.study.trials[number], self.study.study_name))
        self._recorder.progress("Trials", done, request.trials)
        return "the number of trials"

    def own_trials(self) -> list[optuna.trial.FrozenTrial]:
        key = self._request.run_key
        return [t for t in self.study.trials if t.user_attrs.get(RUN_KEY) == key]

    def _one_trial(self) -> int:
        import optuna

        trial = self.study.ask()
        trial.set_user_attr(RUN_KEY, self._request.run_key)
        try:
            value = self._score(trial)
        except optuna.TrialPruned:
            self.study.tell(trial, state=optuna.trial.TrialState.PRUNED)
        except _FitFailed as failure:
            trial.set_user_attr("error", str(failure))
            self.study.tell(trial, state=optuna.trial.TrialState.FAIL)
        except BaseException:
            self.study.tell(trial, state=optuna.trial.TrialState.FAIL)
            raise
        else:
            self.study.tell(trial, value)
        return int(trial.number)

    def _score(self, trial: optuna.Trial) -> float:
        """Mean score over the folds; each fold is reported, so a poor trial ends early."""
        import optuna

        params = self._algorithm.suggest(trial)
        scores: list[float] = []
        for step, fold in enumerate(self._folds):
            self._recorder.raise_if_cancelled()
            scores.append(self._fold_score(params, fold))
            mean = math.fsum(scores) / len(scores)
            trial.report(mean, step)
            if step + 1 < len(self._folds) and trial.should_prune():
                raise optuna.TrialPruned
        return mean

    def _fold_score(self, params: Mapping[str, Any], fold: Prepared) -> float:
        request = self._request
        try:
            model = self._algorithm.make(
                self._problem, params, seed=request.seed, n_jobs=request.n_jobs
            )
            fit(model, fold)
            prediction = predict(model, fold.X_score, self._problem)
            value = primary_score(self._problem, fold.y_score, prediction)
        except Exception as error:
            raise _FitFailed(f"{type(error).__name__}: {error}") from error
        if not math.isfinite(value):
            raise _FitFailed(f"The score of a fold is {value}.")
        return value

    def _open_study(self) -> optuna.Study:
        """The study of this experiment and algorithm; a new one starts from its nearest relative.

        A study whose trials were measured on other data keeps its name; ours gets a suffix.
        """
        request = self._request
        context = _context(request, self._algorithm, len(self._folds))
        name = study_name(request.experiment_id, self._algorithm.name)
        study, created = self._create(name)
        if created:
            study.set_user_attr("context", context)
        elif study.user_attrs.get("context") != context:
            # Also where another worker has just created it and not yet said for which data.
            study, _ = self._create(f"{name}_{context[:8]}")
            study.set_user_attr("context", context)
        # Begun with the same seed, a run taken up again would draw the same parameters again.
        drawn = len(study.get_trials(deepcopy=False))
        study.sampler = _sampler(request.seed + drawn)
        if WARM_STARTED_FROM not in study.user_attrs:
            self._begin(study)
        return study

    def _create(self, name: str) -> tuple[optuna.Study, bool]:
        """The study of that name, and whether it is new."""
        import optuna

        pruner = optuna.pruners.MedianPruner(n_startup_trials=PRUNER_STARTUP_TRIALS)
        try:
            study = optuna.create_study(
                study_name=name, storage=self._storage, direction="maximize", pruner=pruner
            )
        except optuna.exceptions.DuplicatedStudyError:
            return optuna.load_study(study_name=name, storage=self._storage, pruner=pruner), False
        return study, True

    def _begin(self, study: optuna.Study) -> None:
        request = self._request
        mine = profile(self._algorithm.name, self._problem, request.rows, request.features)
        space = set(self._algorithm.defaults)
        found = find_nearest(self._storage, study.study_name, mine, space)
        starts = [dict(self._algorithm.defaults)]
        if found is not None:
            starts += [dict(params) for params in found.best_params]
        for params in starts[: request.trials]:
            study.enqueue_trial(params, skip_if_exists=True)
        for key, value in mine.items():
            study.set_user_attr(key, value)
        study.set_user_attr(WARM_STARTED_FROM, found.study_name if found else "")

    def _close_interrupted(self) -> None:
        """Trials that a killed attempt of this run left running are failed, and run anew."""
        from optuna.trial import TrialState

        for trial in self.own_trials():
            if trial.state is TrialState.RUNNING:
                self._storage.set_trial_user_attr(trial._trial_id, "error", "Interrupted.")
                self._storage.set_trial_user_attr(trial._trial_id, RUN_KEY, "interrupted")
                self._storage.set_trial_state_values(trial._trial_id, TrialState.FAIL)


class _FitFailed(Exception):
    """A trial's own failure, told from a cancelled run."""


def open_storage(url: str) -> Any:
    """Optuna's storage at an SQLAlchemy URL."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    arguments: dict[str, Any] = {"pool_pre_ping": True}
    if url.startswith("sqlite:///"):
        arguments = {"creator": partial(_connect_sqlite, url.removeprefix("sqlite:///"))}
    return optuna.storages.RDBStorage(url, engine_kwargs=arguments)


def _connect_sqlite(path: str) -> sqlite3.Connection:
    """A trial is a dozen small commits: write-ahead logging spares a wait for the disk each."""
    connection = sqlite3.connect(path, timeout=30, check_same_thread=False)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")
    return connection


def _sampler(seed: int) -> optuna.samplers.TPESampler:
    import optuna

    return optuna.samplers.TPESampler(seed=seed, multivariate=True, n_startup_trials=STARTUP_TRIALS)


def _context(request: TuningRequest, algorithm: Algorithm, folds: int) -> str:
    from optuna.distributions import distribution_to_json
    from optuna.trial import FixedTrial

    trial = FixedTrial(dict(algorithm.defaults))
    algorithm.suggest(trial)
    space = {name: distribution_to_json(d) for name, d in sorted(trial.distributions.items())}
    text = json.dumps([request.context, request.seed, folds, space], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _fact(trial: optuna.trial.FrozenTrial, study_name: str) -> TrialFact:
    from optuna.trial import TrialState

    states = {TrialState.COMPLETE: "complete", TrialState.PRUNED: "pruned"}
    return TrialFact(
        study_name=study_name,
        number=trial.number,
        state=states.get(trial.state, "failed"),
        value=trial.value if trial.state is TrialState.COMPLETE else None,
        params=dict(trial.params),
        intermediate=dict(trial.intermediate_values),
        error=str(trial.user_attrs.get("error", "")),
        seconds=trial.duration.total_seconds() if trial.duration else None,
    )
