"""Selection and training end to end: database, MLflow, journal, study."""

from __future__ import annotations

from types import SimpleNamespace

import optuna
import pytest

from e2i_site.jobs.models import JobState
from e2i_site.mlflow_connector import get_connector
from e2i_site.trail.models import TrailEntry
from registry.models import RegistryEntry
from tests.training.conftest import perform
from training.actions.request_selection import request_selection
from training.actions.request_training import request_training
from training.choices import CandidateOutcome, NodeOutcome, RunStatus
from training.models import Experiment, Study
from training.pipeline.selector.run import ORDER as SELECTOR
from training.pipeline.trainer.run import ORDER as TRAINER
from training.study_storage import storage_url

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_databases]


def test_from_selection_to_a_registered_version(
    experiment: Experiment, people: SimpleNamespace, mlflow: str
) -> None:
    selection = request_selection(
        actor=people.requester,
        experiment=experiment,
        constraints={"exclude": ["RandomForest", "XGBoost"]},
        folds=3,
    )
    job = perform(selection.job)
    assert job.state == JobState.SUCCEEDED, job.message
    selection.refresh_from_db()
    _check_selection(selection, experiment)

    run = request_training(actor=people.requester, experiment=experiment, trials=3)
    assert run.algorithm == selection.selected_algorithm
    job = perform(run.job)
    assert job.state == JobState.SUCCEEDED, job.message
    run.refresh_from_db()
    _check_rows(run)
    _check_mlflow(run, selection.mlflow_run_id)
    _check_study(run)
    _check_registry(run)
    events = set(TrailEntry.objects.values_list("event", flat=True))
    assert {
        "training.dataset.imported",
        "training.experiment.created",
        "training.selection.requested",
        "training.selection.finished",
        "training.run.requested",
        "training.run.finished",
        "registry.version.registered",
    } <= events
    assert job.result["metrics"]["test"] == run.test_metrics


def _check_selection(selection, experiment) -> None:
    assert selection.status == RunStatus.FINISHED
    assert selection.mlflow_available
    assert [node.name for node in selection.nodes.all()] == list(SELECTOR)
    assert {node.outcome for node in selection.nodes.all()} == {NodeOutcome.SUCCEEDED}
    assert selection.rationale["primary_reason"]
    assert {h["source"] for h in selection.history.values()} == {"prior"}
    outcomes = {c.algorithm: c.outcome for c in selection.candidates.filter(role="candidate")}
    assert outcomes["XGBoost"] == CandidateOutcome.EXCLUDED
    assert outcomes[selection.selected_algorithm] == CandidateOutcome.SELECTED
    parent = get_connector().get_run(selection.mlflow_run_id)
    assert parent.status == "FINISHED"
    assert parent.params["selected_algorithm"] == selection.selected_algorithm
    measured = selection.candidates.exclude(outcome=CandidateOutcome.EXCLUDED)
    assert {c.role for c in measured} == {"candidate", "baseline", "dummy"}
    for candidate in measured:
        nested = get_connector().get_run(candidate.mlflow_run_id)
        assert nested.parent_run_id == selection.mlflow_run_id
        assert nested.metrics["benchmark_mean"] == pytest.approx(candidate.benchmark_mean)


def _check_rows(run) -> None:
    assert run.status == RunStatus.FINISHED
    assert run.mlflow_available
    assert [node.name for node in run.nodes.all()] == list(TRAINER)
    assert {node.outcome for node in run.nodes.all()} == {NodeOutcome.SUCCEEDED}
    assert run.data_quality.passed
    assert run.split.sizes == {"train": 240, "validation": 80, "test": 60, "holdout": 20}
    assert run.training_samples == 240
    assert run.feature_names == ["age", "income", "plan"]
    assert 0.6 < run.test_metrics["roc_auc"] <= 1
    low, high = run.evaluation["intervals"]["roc_auc"]
    assert low <= run.test_metrics["roc_auc"] <= high
    assert run.threshold == run.evaluation["threshold"]
    assert set(run.evaluation["curves"]) == {"roc", "pr", "calibration", "confusion"}
    assert run.duration_seconds > 0
    assert run.compute_type == "cpu"


def _check_mlflow(run, selection_run_id: str) -> None:
    connector = get_connector()
    logged = connector.get_run(run.mlflow_run_id)
    assert logged.status == "FINISHED"
    assert run.mlflow_experiment.name == f"e2i_model_trainer_{run.experiment.experiment_id}"
    assert {k: v for k, v in logged.params.items() if k.startswith("hp_")} == {
        f"hp_{name}": str(value) for name, value in run.hyperparameters.items()
    }
    for split in ("train", "validation", "test"):
        for name, value in getattr(run, f"{split}_metrics").items():
            assert logged.metrics[f"{split}_{name}"] == pytest.approx(value), name
    assert logged.tags["selection_run_id"] == selection_run_id
    assert logged.tags["framework"] == run.framework
    assert logged.tags["algorithm"] == run.algorithm
    (data,) = logged.datasets
    assert data.tags["e2i.digest"] == run.dataset.digest
    names = {item.path for item in connector.list_artifacts(run_id=run.mlflow_run_id)}
    assert {"plots", "preprocessing", "evaluation.json", "feature_importance.json"} <= names
    assert run.model_artifact_uri == f"models:/{logged.model_outputs[0]}"


def _check_study(run) -> None:
    study = optuna.load_study(study_name=run.optuna_study_name, storage=storage_url())
    assert run.optuna_study_name == Study.objects.get().name
    assert study.best_trial.number == run.optuna_trial_number
    assert run.is_best_trial is True
    stored = {trial.number: trial for trial in study.trials}
    assert run.trials.count() == 3
    for trial in run.trials.all():
        assert trial.value == stored[trial.number].value
        assert trial.params == stored[trial.number].params
        nested = get_connector().get_run(trial.mlflow_run_id)
        assert nested.parent_run_id == run.mlflow_run_id
    assert run.trials.get(is_best=True).number == run.optuna_trial_number


def _check_registry(run) -> None:
    entry = RegistryEntry.objects.get()
    assert run.registry_entry_id == entry.pk
    assert entry.artifact_digest == run.model_digest
    assert entry.auc == run.test_metrics["roc_auc"]
    version = get_connector().get_model_version(entry.model_id, entry.model_version)
    assert version.run_id == run.mlflow_run_id
    assert version.tags["e2i.digest"] == run.model_digest
    assert [column["name"] for column in entry.signature["inputs"]] == run.feature_names


def test_history_decides_from_the_third_run_on(
    experiment: Experiment, people: SimpleNamespace, mlflow: str
) -> None:
    from tests.factories.training import TrainingRunFactory

    for value in (0.9, 0.9, 0.5):
        TrainingRunFactory(
            experiment=experiment,
            algorithm="LogisticRegression",
            status=RunStatus.FINISHED,
            test_metrics={"roc_auc": value},
        )
    selection = request_selection(
        actor=people.requester,
        experiment=experiment,
        constraints={"exclude": ["RandomForest", "XGBoost", "LightGBM"]},
        folds=2,
    )
    assert perform(selection.job).state == JobState.SUCCEEDED
    selection.refresh_from_db()
    found = selection.history["LogisticRegression"]
    assert (found["source"], found["runs"]) == ("database", 3)
    assert found["success_rate"] == pytest.approx(2 / 3)
    assert selection.history["XGBoost"]["source"] == "prior"
