"""MLflow away, a killed worker, a cancelled job, bad data: nothing is lost, nothing invented."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pandas as pd
import pytest
from django.conf import settings as site
from django.db import OperationalError

from e2i_site.jobs import runner
from e2i_site.jobs.handlers import Cancelled, LeaseLost
from e2i_site.jobs.models import Job, JobState
from e2i_site.mlflow_connector import get_connector
from e2i_site.mlflow_connector.journal import ReplayResult
from registry.models import RegistryEntry
from tests.faults import FaultProxy
from tests.training.conftest import perform, visits
from training import datasets
from training.actions import deliver, run_training
from training.actions.create_experiment import create_experiment
from training.actions.import_dataset import import_dataset
from training.actions.record_nodes import NodeLog, Stopped
from training.actions.request_selection import request_selection
from training.actions.request_training import request_training
from training.actions.settle import settle
from training.choices import NodeOutcome, RunStatus
from training.models import Experiment, TrainingRun
from training.pipeline.trainer.run import ORDER

pytestmark = pytest.mark.django_db(transaction=True)
QUICK = {"algorithm": "LogisticRegression", "trials": 2, "folds": 2}


def runs_in_mlflow(run: TrainingRun) -> list[Any]:
    """Top-level runs of this training in MLflow, oldest first."""
    connector = get_connector()
    name = f"e2i_model_trainer_{run.experiment.experiment_id}"
    found = connector.find_experiment(name)
    runs = list(connector.iter_runs([found.experiment_id])) if found else []
    return sorted((r for r in runs if not r.parent_run_id), key=lambda r: r.start_ms)


def versions_in_mlflow(run: TrainingRun) -> list[Any]:
    name = f"e2i_{run.experiment.experiment_id}_{run.algorithm}"
    return list(get_connector().iter_model_versions(f"name = '{name}'"))


@pytest.mark.parametrize("requests_answered", [0, 12])
def test_mlflow_going_away_delays_but_loses_and_invents_nothing(
    experiment: Experiment,
    people: SimpleNamespace,
    line: FaultProxy,
    mended: Callable[[], None],
    requests_answered: int,
) -> None:
    line.fault("refuse", skip=requests_answered)
    run = request_training(actor=people.requester, experiment=experiment, **QUICK)
    assert perform(run.job).state == JobState.SUCCEEDED
    run.refresh_from_db()
    assert run.status == RunStatus.FINISHED
    assert run.mlflow_available is False
    assert run.model_artifact_uri == ""
    assert run.model_digest
    assert run.test_metrics["roc_auc"] > 0.6
    assert (run.mlflow_run_id is None) == (requests_answered == 0)
    assert not RegistryEntry.objects.exists()

    waiting = Job.objects.get(kind="training.deliver")
    assert perform(waiting).state == JobState.WAITING

    mended()
    assert perform(waiting).state == JobState.SUCCEEDED, waiting.message
    run.refresh_from_db()
    assert run.mlflow_available
    (logged,) = runs_in_mlflow(run)
    assert logged.run_id == run.mlflow_run_id
    assert logged.status == "FINISHED"
    for name, value in run.test_metrics.items():
        assert logged.metrics[f"test_{name}"] == pytest.approx(value)
    (version,) = versions_in_mlflow(run)
    entry = RegistryEntry.objects.get()
    assert (entry.model_version, entry.artifact_digest) == (int(version.version), run.model_digest)
    assert all(trial.mlflow_run_id for trial in run.trials.all())

    deliver.deliver_training(run.pk)
    assert len(runs_in_mlflow(run)) == len(versions_in_mlflow(run)) == 1
    assert RegistryEntry.objects.count() == 1


def test_a_selection_made_without_mlflow_arrives_before_its_training(
    experiment: Experiment,
    people: SimpleNamespace,
    line: FaultProxy,
    mended: Callable[[], None],
) -> None:
    line.fault("refuse")
    only = {"exclude": ["RandomForest", "XGBoost", "LightGBM"]}
    selection = request_selection(
        actor=people.requester, experiment=experiment, constraints=only, folds=2
    )
    assert perform(selection.job).state == JobState.SUCCEEDED
    selection.refresh_from_db()
    assert (selection.mlflow_run_id, selection.mlflow_available) == (None, False)
    run = request_training(actor=people.requester, experiment=experiment, trials=0, folds=2)
    assert run.selection == selection
    assert perform(run.job).state == JobState.SUCCEEDED

    mended()
    deliver.deliver_training(run.pk)
    selection.refresh_from_db()
    assert selection.mlflow_available
    assert all(
        candidate.mlflow_run_id
        for candidate in selection.candidates.exclude(outcome="excluded").exclude(outcome="ranked")
    )
    (logged,) = runs_in_mlflow(run)
    assert logged.tags["selection_run_id"] == selection.mlflow_run_id
    run.refresh_from_db()
    assert run.mlflow_available
    assert (run.optuna_study_name, run.optuna_trial_number) == ("", None)


def test_a_selection_taken_up_again_keeps_nothing_of_the_attempt_before(
    experiment: Experiment, people: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    selection = request_selection(actor=people.requester, experiment=experiment)
    facts = {"framework": "xgboost", "outcome": "selected", "mlflow_run_id": "a" * 32}
    selection.candidates.create(algorithm="XGBoost", **facts)
    selection.selected_algorithm, selection.rationale = "XGBoost", {"primary_reason": "Best."}
    selection.save()

    def fail(*_: object, **__: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr("training.pipeline.selector.run.select", fail)
    assert perform(selection.job).state == JobState.FAILED
    selection.refresh_from_db()
    assert (selection.status, selection.selected_algorithm) == (RunStatus.FAILED, "")
    assert not selection.rationale and not selection.candidates.exists()


@pytest.mark.parametrize(
    ("status", "error", "shown"),
    [
        (RunStatus.FAILED, "ValueError: too few rows", "ValueError: too few rows"),
        (RunStatus.FINISHED, "", "MLflow refused: a param"),
    ],
)
def test_what_mlflow_refuses_does_not_hide_why_a_run_failed(
    experiment: Experiment, people: SimpleNamespace, status: str, error: str, shown: str
) -> None:
    run = request_training(actor=people.requester, experiment=experiment, **QUICK)
    run.status, run.error_message = status, error
    refused = ReplayResult(run.journal_id, done=True, problems=("a param",))
    deliver.store_training_ids(run, refused, get_connector())
    run.refresh_from_db()
    assert run.error_message == shown


@pytest.mark.once
def test_a_worker_killed_in_the_middle_is_taken_up_again(
    experiment: Experiment, people: SimpleNamespace, mlflow: str, database_url: str
) -> None:
    asked = {**QUICK, "trials": 6}
    run = request_training(actor=people.requester, experiment=experiment, **asked)
    job, token = runner.claim(run.job_id)
    environment = {
        **os.environ,
        "DATABASE_URL": database_url,
        "MLFLOW_TRACKING_URI": mlflow,
        "DJANGO_SETTINGS_MODULE": "e2i_site.settings",
    }
    ours, theirs = socket.socketpair()
    child = subprocess.Popen(
        [sys.executable, "manage.py", "run_jobs", str(theirs.fileno())],
        cwd=site.BASE_DIR,
        env=environment,
        pass_fds=[theirs.fileno()],
    )
    ours.sendall(f"{job.pk} {token}".encode())
    deadline = time.monotonic() + 60
    while run.trials.count() < 2 and time.monotonic() < deadline:
        assert child.poll() is None, "it ended before it could be killed"
        time.sleep(0.05)
    child.send_signal(signal.SIGKILL)
    child.wait()
    before = run.trials.count()
    assert 2 <= before < 6
    runner.fail_attempt(job, token, "killed")

    again = perform(run.job)
    assert again.state == JobState.SUCCEEDED, again.message
    run.refresh_from_db()
    assert (run.status, run.attempt) == (RunStatus.FINISHED, 2)
    first = list(run.nodes.filter(attempt=1))
    assert first[-1].name == "tune_hyperparameters"
    assert first[-1].outcome == NodeOutcome.INTERRUPTED
    second = run.nodes.filter(attempt=2)
    assert [node.name for node in second] == list(ORDER)
    assert {node.outcome for node in second} == {NodeOutcome.SUCCEEDED}
    assert run.trials.count() == 6, "the trials of the first attempt count"

    for waiting in Job.objects.filter(kind="training.deliver"):
        assert perform(waiting).state == JobState.SUCCEEDED
    killed, finished = runs_in_mlflow(run)
    assert (killed.status, finished.status) == ("KILLED", "FINISHED")
    assert finished.run_id == run.mlflow_run_id
    assert TrainingRun.objects.filter(role="training").count() == 1
    assert len(versions_in_mlflow(run)) == RegistryEntry.objects.count() == 1


def test_an_attempt_that_only_could_not_store_its_end_is_not_repeated(
    experiment: Experiment, people: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = request_training(actor=people.requester, experiment=experiment, **QUICK | {"trials": 0})
    end = run_training._end

    def broken(*_: object) -> None:
        monkeypatch.setattr(run_training, "_end", end)
        raise OperationalError("the connection was lost")

    monkeypatch.setattr(run_training, "_end", broken)
    assert perform(run.job).state == JobState.QUEUED
    run.refresh_from_db()
    assert (run.status, run.attempt) == (RunStatus.RUNNING, 1)
    assert perform(run.job).state == JobState.SUCCEEDED
    run.refresh_from_db()
    assert (run.status, run.attempt) == (RunStatus.FINISHED, 1)
    journals = [each.journal_id for each in get_connector().pending_journals()]
    assert [each for each in journals if each.startswith(f"training-{run.pk}-")] == [run.journal_id]


def test_a_cancelled_training_is_killed_in_both_places(
    experiment: Experiment, people: SimpleNamespace, mlflow: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from training.actions.record_training import TrainingRecord

    run = request_training(actor=people.requester, experiment=experiment, **QUICK)
    store = TrainingRecord.store_trial

    def cancel_then_store(self: TrainingRecord, fact: Any) -> None:
        store(self, fact)
        Job.objects.filter(pk=run.job_id).update(cancel_requested=True)
        time.sleep(2.5)  # until the heartbeat sees it

    monkeypatch.setattr(TrainingRecord, "store_trial", cancel_then_store)
    assert perform(run.job).state == JobState.CANCELLED
    run.refresh_from_db()
    assert run.status == RunStatus.KILLED
    assert run.nodes.last().outcome == NodeOutcome.INTERRUPTED
    (logged,) = runs_in_mlflow(run)
    assert logged.status == "KILLED"
    assert not RegistryEntry.objects.exists()


@pytest.mark.parametrize(("error", "stops"), [(Cancelled, False), (LeaseLost, True)])
def test_a_node_that_began_is_stopped_at_its_start_only_by_a_lost_lease(
    experiment: Experiment, people: SimpleNamespace, error: type[Exception], stops: bool
) -> None:
    run = request_training(actor=people.requester, experiment=experiment, **QUICK)
    job = runner.JobContext(*runner.claim(run.job_id))
    job.progress = Mock(side_effect=error("Stop."))  # type: ignore[method-assign]
    expected = pytest.raises(Stopped) if stops else nullcontext()
    with expected, NodeLog(job, run, 1).node("save_checkpoint"):
        pass
    assert run.nodes.get().outcome == (NodeOutcome.RUNNING if stops else NodeOutcome.SUCCEEDED)


def test_a_job_that_ended_without_its_row_gives_the_row_a_true_end(
    experiment: Experiment, people: SimpleNamespace
) -> None:
    run = request_training(actor=people.requester, experiment=experiment, **QUICK)
    Job.objects.filter(pk=run.job_id).update(state=JobState.CANCELLED, message="Cancelled.")
    assert settle()["settled"] == 1
    run.refresh_from_db()
    assert (run.status, run.error_message) == (RunStatus.KILLED, "Cancelled.")
    assert settle()["settled"] == 0


def test_a_file_that_changed_is_not_trained_on(
    experiment: Experiment, people: SimpleNamespace, settings: Any
) -> None:
    path = datasets.path_of(experiment.dataset.kind, experiment.dataset.location)
    path.write_text(path.read_text().replace("full", "half", 1))
    run = request_training(actor=people.requester, experiment=experiment, **QUICK)
    job = perform(run.job)
    path.unlink()
    assert job.state == JobState.FAILED
    run.refresh_from_db()
    assert run.status == RunStatus.FAILED
    assert "has changed" in run.error_message
    assert not run.nodes.exists()


def test_a_leak_stops_the_training_at_the_gate(
    people: SimpleNamespace, tmp_path: Path, mlflow: str
) -> None:
    table = visits(seed=3)
    table["billed"] = (table["visits"] > 0).astype(int)
    pd.DataFrame(table).to_csv(tmp_path / "leak.csv", index=False)
    dataset = import_dataset(
        actor=people.requester,
        name="leak",
        path=tmp_path / "leak.csv",
        target="any_visit = visits > 0",
    )
    experiment = create_experiment(
        actor=people.requester,
        experiment_id=f"leak-{os.urandom(4).hex()}",
        name="Leak",
        dataset=dataset,
    )
    run = request_training(actor=people.requester, experiment=experiment, **QUICK)
    job = perform(run.job)
    assert job.state == JobState.FAILED
    run.refresh_from_db()
    assert run.status == RunStatus.FAILED
    assert "billed gives the target away" in run.error_message
    assert not run.data_quality.passed
    assert [(n.name, n.outcome) for n in run.nodes.all()] == [
        ("check_qc_gate", NodeOutcome.BLOCKED)
    ]
    (logged,) = runs_in_mlflow(run)
    assert logged.status == "FAILED"
    assert not RegistryEntry.objects.exists()
