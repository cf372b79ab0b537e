"""A real selection and training pass every check; each thing done to them is found by its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from django.utils import timezone

from e2i_site.audit import runner
from e2i_site.audit.models import CheckResult, Finding, SubjectResult
from e2i_site.mlflow_connector import get_connector
from tests.factories.training import TrainingRunFactory
from tests.training.conftest import perform
from training.actions.request_selection import request_selection
from training.actions.request_training import request_training
from training.choices import NodeOutcome
from training.models import Experiment, MlflowExperiment, Selection, TrainingRun

pytestmark = pytest.mark.django_db(transaction=True)

CHECKS = ("2.1", "2.2", "2.3", "2.4", "2.5", "2.6", "3.1", "3.2", "3.2b", "4.5", "5.1", "5.2")


def audit(check_id: str) -> CheckResult:
    runner.execute(runner.prepare(check_id=check_id))
    return CheckResult.objects.filter(check_id=check_id).latest("id")


def seen(check_id: str, subject: Any) -> SubjectResult:
    return audit(check_id).outcomes.get(
        subject_kind=subject._meta.label_lower, subject_key=str(subject.pk)
    )


@contextmanager
def changed(row: Any, **fields: Any) -> Iterator[None]:
    """Write past all actions, and put it back."""
    before = {name: getattr(row, name) for name in fields}
    type(row).objects.filter(pk=row.pk).update(**fields)
    yield
    type(row).objects.filter(pk=row.pk).update(**before)


def trained(experiment: Experiment, people: SimpleNamespace) -> tuple[Selection, TrainingRun]:
    selection = request_selection(
        actor=people.requester,
        experiment=experiment,
        constraints={"exclude": ["RandomForest", "XGBoost"]},
        folds=3,
    )
    perform(selection.job)
    run = request_training(actor=people.requester, experiment=experiment, trials=2)
    perform(run.job)
    selection.refresh_from_db()
    run.refresh_from_db()
    return selection, run


def test_from_selection_to_audit(
    experiment: Experiment, people: SimpleNamespace, mlflow: str
) -> None:
    selection, run = trained(experiment, people)
    _healthy()
    _changed_rows(run, selection)
    _changed_pipelines(run, selection)
    _hidden_by_mlflow(run, selection)
    _changed_mlflow(run)


def _healthy() -> None:
    for check_id in CHECKS:
        result = audit(check_id)
        told = list(result.outcomes.exclude(outcome="pass").values_list("message", flat=True))
        assert (check_id, result.outcome, result.message, told) == (check_id, "pass", "", [])
    assert not Finding.objects.exists()


def _changed_rows(run: TrainingRun, selection: Selection) -> None:
    with changed(run, hyperparameters={**run.hyperparameters, "C": 77.5}):
        found = seen("2.2", run)
        assert (found.outcome, found.priority) == ("fail", "P2")
        assert found.evidence["hyperparameters.C"]["here"] == 77.5
    with changed(run, test_metrics={**run.test_metrics, "roc_auc": 0.999}):
        assert "test_metrics.roc_auc" in seen("2.2", run).evidence
    with changed(run, framework="tensorflow"):
        assert seen("2.5", run).outcome == "fail"
        assert "framework" in seen("2.2", run).evidence
    with changed(run, mlflow_run_id="mock_run_id"):
        found = seen("2.4", run)
        assert (found.priority, "mock_run_id" in found.message) == ("P0", True)
    with changed(run, mlflow_run_id="0" * 32):
        assert seen("2.4", run).priority == "P0"
        assert "does not know" in seen("2.1", run).message
    with changed(run, model_artifact_uri="models:/m-" + "0" * 32):
        assert seen("2.3", run).message == "Its row names another model."
    with changed(run, preprocessing_artifact_uri=""):
        assert "preprocessing is gone" in seen("2.3", run).message
    with changed(run, mlflow_available=False, journal_id="no-such-journal"):
        assert seen("4.5", run).priority == "P1"
    with changed(run, experiment=None):
        assert "belongs to no experiment" in seen("5.1", run).message
    with changed(selection, mlflow_run_id="1" * 32):
        assert "does not name the run" in seen("5.1", run).message
        assert seen("3.1", selection).priority == "P1"


def _changed_pipelines(run: TrainingRun, selection: Selection) -> None:
    node = run.nodes.get(name="log_to_mlflow")
    with changed(node, outcome=NodeOutcome.SKIPPED):
        assert "log_to_mlflow" in seen("2.6", run).message
    with changed(node, name="save_checkpoint"):
        assert "not those of the plan" in seen("2.6", run).message
    with changed(node, started_at=run.started_at):
        assert "began before" in seen("2.6", run).message
    with changed(selection, rationale={}):
        assert "no rationale" in seen("3.2", selection).message
    winner = selection.candidates.get(role="candidate", outcome="selected")
    with changed(winner, combined_score=0.0):
        assert "not the best" in seen("3.2", selection).message
    with changed(winner, benchmark_mean=None):
        assert "lacks benchmark_mean" in seen("3.2", selection).message
    history = {**selection.history, "LightGBM": {"runs": 5, "source": "database"}}
    with changed(selection, history=history):
        assert "5 runs are recorded; there were 0" in seen("3.2b", selection).message


def _hidden_by_mlflow(run: TrainingRun, selection: Selection) -> None:
    """What the account may read no more is judged neither way, and its findings stay."""
    theirs = MlflowExperiment.objects.create(
        mlflow_id="theirs", name="Theirs", hidden_since=timezone.now()
    )
    TrainingRunFactory(
        mlflow_run_id="1" * 32, mlflow_experiment=theirs, experiment=None, role="selection"
    )
    with changed(run, framework="tensorflow"):
        assert seen("2.5", run).outcome == "fail"
    with (
        changed(run, mlflow_run_id="0" * 32, mlflow_experiment=theirs),
        changed(selection, mlflow_run_id="1" * 32),
    ):
        for check_id in ("2.1", "2.2", "2.3", "2.4", "2.5", "4.5", "5.1", "5.2"):
            assert (check_id, seen(check_id, run).outcome) == (check_id, "inconclusive")
        for check_id in ("3.1", "4.5"):
            assert (check_id, seen(check_id, selection).outcome) == (check_id, "inconclusive")
        assert Finding.objects.get(check_id="2.5").status == "open"
        MlflowExperiment.objects.filter(pk=theirs.pk).update(hidden_since=None)
        assert not audit("5.1").passed  # nobody could compare it


def _changed_mlflow(run: TrainingRun) -> None:
    connector = get_connector()
    for owner, outcome in (("another", "fail"), (str(run.pk), "pass")):
        with connector.start_run(
            f"e2i_model_trainer_{run.experiment.experiment_id}",  # type: ignore[union-attr]
            run_name="interrupted",
            tags={"e2i.training_run": owner},
        ) as attempt:
            pass
        trial = run.trials.first()
        assert trial is not None and trial.mlflow_run_id and attempt.mlflow_run_id
        connector.set_run_tag(trial.mlflow_run_id, "mlflow.parentRunId", attempt.mlflow_run_id)
        assert seen("5.2", run).outcome == outcome
    connector.set_run_tag(run.mlflow_run_id or "", "experiment_id", "another")
    assert "another experiment" in seen("5.1", run).message
    connector.transport.write("POST", "runs/delete", run_id=run.mlflow_run_id)
    found = seen("2.1", run)
    assert (found.priority, found.message) == ("P1", "The run was deleted in MLflow.")
    assert Finding.objects.get(check_id="2.1").opened_at <= timezone.now()
