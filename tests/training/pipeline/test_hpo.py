from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.pipeline.algorithms import Algorithm, find
from training.pipeline.data import Dataset
from training.pipeline.fitting import Prepared, prepared_folds
from training.pipeline.splits import split
from training.pipeline.steps import MemoryRecorder
from training.pipeline.trainer.hpo import TuningRequest, study_name, tune
from training.pipeline.trainer.warm_start import profile, similarity
from training.pipeline.types import Problem


@pytest.fixture
def request_(tmp_path: Path) -> TuningRequest:
    return TuningRequest(
        "exp",
        f"sqlite:///{tmp_path / 'optuna.sqlite3'}",
        run_key="run-1",
        context="data-1",
        rows=400,
        features=3,
        trials=6,
    )


@pytest.fixture(scope="module")
def folds(numbers: Dataset) -> list[Prepared]:
    return list(prepared_folds(numbers, split(numbers), 3, scale=True))


RIDGE = find("Ridge")


def load(request: TuningRequest, name: str = "") -> optuna.Study:
    name = name or study_name("exp", "Ridge")
    return optuna.load_study(study_name=name, storage=request.storage_url)


def test_facts_are_those_of_the_stored_study(
    request_: TuningRequest, folds: list[Prepared]
) -> None:
    seen = []
    found = tune(RIDGE, Problem.REGRESSION, folds, request_, MemoryRecorder(), seen.append)
    study = load(request_)
    assert found.study_name == "e2i_exp_Ridge_hpo" == study.study_name
    assert found.best_trial == study.best_trial.number
    assert found.best_value == study.best_value
    assert found.params["alpha"] == study.best_params["alpha"]
    assert [trial.number for trial in found.trials] == list(range(6)) == [t.number for t in seen]
    assert found.trials[0].params == dict(RIDGE.defaults), "the defaults are tried first"


def test_the_same_seed_tries_the_same_parameters(
    request_: TuningRequest, folds: list[Prepared], tmp_path: Path
) -> None:
    other = replace(request_, storage_url=f"sqlite:///{tmp_path / 'other.sqlite3'}")
    first = tune(RIDGE, Problem.REGRESSION, folds, request_, MemoryRecorder())
    second = tune(RIDGE, Problem.REGRESSION, folds, other, MemoryRecorder())
    assert [t.params for t in first.trials] == [t.params for t in second.trials]
    assert [t.value for t in first.trials] == [t.value for t in second.trials]


class _Scripted:
    """An estimator whose quality is its parameter: predictions are y plus noise of that size."""

    def __init__(self, noise: float) -> None:
        self.noise = noise

    def fit(self, X: np.ndarray, y: np.ndarray) -> _Scripted:  # noqa: N803
        if self.noise < 0:
            raise ValueError("noise is negative")
        self.weights = np.linalg.lstsq(X, y, rcond=None)[0]
        return self

    def predict(self, X: np.ndarray) -> Any:  # noqa: N803
        return X @ self.weights + self.noise * np.sin(np.arange(len(X)))


def scripted(noises: list[float]) -> Algorithm:
    """Tries these noises in order."""
    pending = iter(noises)
    return replace(
        RIDGE,
        defaults={"noise": 0.0},
        build=lambda problem, params, seed, n_jobs: _Scripted(params["noise"]),
        suggest=lambda trial: {
            "noise": trial.suggest_float("noise", -1, 100) * 0 + next(pending, 0.0)
        },
    )


def test_a_trial_below_the_median_is_pruned_before_its_last_fold(
    request_: TuningRequest, folds: list[Prepared]
) -> None:
    algorithm = scripted([0.0, 0.0, 0.1, 0.2, 0.3, 0.4, 0.35, 80.0])
    request_ = replace(request_, trials=7)
    found = tune(algorithm, Problem.REGRESSION, folds, request_, MemoryRecorder())
    poor = found.trials[-1]
    assert poor.state == "pruned"
    assert poor.value is None
    assert 1 <= len(poor.intermediate) < len(folds)
    assert all(trial.state == "complete" for trial in found.trials[:5])


def test_a_trial_that_fails_is_failed_and_the_others_go_on(
    request_: TuningRequest, folds: list[Prepared]
) -> None:
    algorithm = scripted([0.0, 0.1, -1.0, 0.2])
    found = tune(
        algorithm, Problem.REGRESSION, folds, replace(request_, trials=3), MemoryRecorder()
    )
    assert [trial.state for trial in found.trials] == ["complete", "failed", "complete"]
    assert found.trials[1].error == "ValueError: noise is negative"
    assert found.trials[1].value is None


def test_when_every_trial_fails_there_is_no_result(
    request_: TuningRequest, folds: list[Prepared]
) -> None:
    with pytest.raises(RuntimeError, match="All 2 trials failed: ValueError: noise is negative"):
        tune(
            scripted([0.0, -1, -1]),
            Problem.REGRESSION,
            folds,
            replace(request_, trials=2),
            MemoryRecorder(),
        )


def test_a_run_taken_up_again_owes_only_the_rest(
    request_: TuningRequest, folds: list[Prepared]
) -> None:
    class Killed(BaseException):
        pass

    def kill_after_two(fact: Any) -> None:
        if fact.number == 1:
            raise Killed

    with pytest.raises(Killed):
        tune(RIDGE, Problem.REGRESSION, folds, request_, MemoryRecorder(), kill_after_two)
    left = load(request_)
    trial = left.ask()
    trial.set_user_attr("training_run", "run-1")

    found = tune(RIDGE, Problem.REGRESSION, folds, request_, MemoryRecorder())
    assert len(found.trials) == 6
    states = [trial.state.name for trial in load(request_).trials]
    assert states.count("COMPLETE") == 6
    assert states.count("FAIL") == 1
    assert "RUNNING" not in states
    tried = {trial.params["alpha"] for trial in found.trials}
    assert len(tried) == 6, "no parameters are tried twice"


def test_two_runs_on_the_same_data_share_the_study(
    request_: TuningRequest, folds: list[Prepared]
) -> None:
    tune(RIDGE, Problem.REGRESSION, folds, request_, MemoryRecorder())
    second = replace(request_, run_key="run-2", trials=2)
    found = tune(RIDGE, Problem.REGRESSION, folds, second, MemoryRecorder())
    assert [trial.number for trial in found.trials] == [6, 7]
    assert found.best_trial == load(request_).best_trial.number


def test_other_data_is_another_study_that_starts_from_the_first(
    request_: TuningRequest, folds: list[Prepared]
) -> None:
    first = tune(RIDGE, Problem.REGRESSION, folds, request_, MemoryRecorder())
    changed = replace(request_, run_key="run-2", context="data-2", trials=3)
    second = tune(RIDGE, Problem.REGRESSION, folds, changed, MemoryRecorder())
    assert second.study_name.startswith("e2i_exp_Ridge_hpo_")
    assert second.warm_started_from == first.study_name
    assert first.params["alpha"] in [trial.params["alpha"] for trial in second.trials]


def test_a_study_that_another_worker_has_just_created_is_not_taken_for_ours(
    request_: TuningRequest, folds: list[Prepared]
) -> None:
    theirs = optuna.create_study(
        study_name=study_name("exp", "Ridge"), storage=request_.storage_url, direction="maximize"
    )
    found = tune(RIDGE, Problem.REGRESSION, folds, request_, MemoryRecorder())
    assert found.study_name.startswith("e2i_exp_Ridge_hpo_")
    assert theirs.trials == []


def test_no_trials_means_the_defaults_and_says_so(
    request_: TuningRequest, folds: list[Prepared]
) -> None:
    found = tune(RIDGE, Problem.REGRESSION, folds, replace(request_, trials=0), MemoryRecorder())
    assert (found.study_name, found.best_trial, found.trials) == ("", None, ())
    assert found.params == dict(RIDGE.defaults)


def test_cancelling_ends_the_search_and_leaves_no_trial_running(
    request_: TuningRequest, folds: list[Prepared]
) -> None:
    class Stop(Exception):
        pass

    class Recorder(MemoryRecorder):
        calls = 0

        def raise_if_cancelled(self) -> None:
            self.calls += 1
            if self.calls == 6:
                raise Stop

    with pytest.raises(Stop):
        tune(RIDGE, Problem.REGRESSION, folds, request_, Recorder())
    assert "RUNNING" not in [trial.state.name for trial in load(request_).trials]


@given(st.integers(1, 10**6), st.integers(1, 500), st.sampled_from(list(Problem)))
def test_similarity_is_one_for_the_same_and_symmetric(
    rows: int, features: int, problem: Problem
) -> None:
    a = profile("XGBoost", problem, rows, features)
    b = profile("LightGBM", Problem.BINARY, 1000, 10)
    assert similarity(a, a) == pytest.approx(1.0)
    assert similarity(a, b) == pytest.approx(similarity(b, a))
    assert 0 <= similarity(a, b) <= 0.6
