"""Runs and selections: live, then with everything that they found out."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from e2i_site.jobs.models import Job, JobState
from tests.factories.registry import EntryFactory, ModelFactory
from tests.factories.training import (
    CandidateFactory,
    ExperimentFactory,
    NodeFactory,
    QualityFactory,
    SelectionFactory,
    SplitFactory,
    StudyFactory,
    TrainingRunFactory,
    TrialFactory,
)
from training.models import MlflowExperiment, TrainingRun
from training.pipeline.selector import run as selector
from training.pipeline.trainer import run as trainer
from training.steps import SELECTION_STEPS, TRAINING_STEPS

pytestmark = pytest.mark.django_db
HTMX = {"HTTP_HX_REQUEST": "true", "HTTP_HX_TARGET": "live"}

EVALUATION = {
    "threshold": 0.4,
    "classes": ["no", "yes"],
    "intervals": {"roc_auc": [0.69, 0.73]},
    "curves": {
        "roc": [[0, 0], [0.2, 0.6], [1, 1]],
        "pr": [[0, 1], [0.5, 0.8], [1, 0.6]],
        "calibration": [[0.2, 0.25, 300], [0.8, 0.75, 300]],
        "confusion": [[50, 10], [20, 120]],
    },
    "importance": {"age": 0.05, "income": -0.001},
}


def job(actor: User, state: str = JobState.RUNNING, **fields: Any) -> Job:
    now = timezone.now()
    return Job.objects.create(
        kind="training.train",
        state=state,
        run_after=now,
        request_id=uuid.uuid4(),
        lease_token=uuid.uuid4(),
        lease_expires_at=now + timedelta(minutes=5),
        actor=actor,
        **fields,
    )


@pytest.fixture
def running(people: Any) -> TrainingRun:
    run = TrainingRunFactory(
        status="running",
        job=job(people.requester, log="first line\nlast line"),
        mlflow_run_id=None,
        mlflow_available=False,
        completed_at=None,
        test_metrics={},
        evaluation={},
        request={"trials": 5},
    )
    NodeFactory(training_run=run, position=1, name="check_qc_gate")
    NodeFactory(
        training_run=run, position=2, name="load_splits", outcome="running", done=1, total=4
    )
    TrialFactory(training_run=run, number=0)
    return run


@pytest.fixture
def finished(people: Any) -> TrainingRun:
    run = TrainingRunFactory(
        experiment=ExperimentFactory(experiment_id="visits", minimum_auc=0.6),
        selection=SelectionFactory(),
        evaluation=EVALUATION,
        train_metrics={"roc_auc": 0.8},
        validation_metrics={"roc_auc": 0.75},
        mlflow_experiment=MlflowExperiment.objects.create(mlflow_id="12", name="e2i_x"),
        created_by=people.requester,
    )
    study = StudyFactory()
    for number, value in enumerate((0.70, 0.74, 0.72)):
        TrialFactory(study=study, training_run=run, number=number, value=value, is_best=number == 1)
    for position, name in enumerate(TRAINING_STEPS, start=1):
        NodeFactory(training_run=run, position=position, name=name)
    QualityFactory(training_run=run)
    SplitFactory(training_run=run)
    EntryFactory(model=ModelFactory(name="visits-model"), training_run=run)
    return run


def test_the_steps_are_those_of_the_pipelines() -> None:
    assert tuple(TRAINING_STEPS) == trainer.ORDER
    assert tuple(SELECTION_STEPS) == selector.ORDER


def test_a_finished_run_shows_everything_it_found(viewer: Client, finished: TrainingRun) -> None:
    page = viewer.get(finished.get_absolute_url())
    text = page.content.decode()
    for words in (
        "It meets the success criterion",
        "0.6900 – 0.7300",
        "ROC curve",
        "Precision and recall",
        "Calibration",
        "Confusion matrix",
        "Feature importance",
        "visits-model v1",
        "There is no time column.",
        "Stratified, seed 42",
        "/#/experiments/12/runs/" + str(finished.mlflow_run_id),
    ):
        assert words in text
    assert 'hx-trigger="every' not in text
    assert page.context["hpo_chart"].series[1].values == [0.70, 0.74, 0.74]


def test_the_page_of_a_run_takes_few_queries(
    viewer: Client, finished: TrainingRun, django_assert_max_num_queries: Any
) -> None:
    with django_assert_max_num_queries(9):
        viewer.get(finished.get_absolute_url())


def test_a_running_run_polls_and_shows_where_it_is(viewer: Client, running: TrainingRun) -> None:
    text = viewer.get(running.get_absolute_url()).content.decode()
    assert 'hx-trigger="every 2s"' in text
    assert "Split the rows" in text
    assert "1 of 4" in text
    assert "1 of 5 wanted" in text
    assert "last line" in text
    assert text.count('title="Keep the model') == 1


def test_a_poll_gets_the_live_part_alone(viewer: Client, running: TrainingRun) -> None:
    part = viewer.get(running.get_absolute_url(), **HTMX).content.decode()
    assert part.lstrip().startswith('<div id="live"')
    assert "<html" not in part


def test_the_first_poll_after_the_end_asks_for_the_whole_page(
    viewer: Client, finished: TrainingRun
) -> None:
    assert viewer.get(finished.get_absolute_url(), **HTMX)["HX-Refresh"] == "true"


def test_a_run_taken_up_again_shows_both_attempts(viewer: Client, running: TrainingRun) -> None:
    NodeFactory(training_run=running, attempt=2, position=1, name="check_qc_gate")
    text = viewer.get(running.get_absolute_url()).content.decode()
    assert "Attempt 2" in text
    assert "Attempt 1: 1 of 2 nodes ended" in text


def test_whoever_started_it_cancels_it(requester: Client, running: TrainingRun) -> None:
    answer = requester.post(f"{running.get_absolute_url()}cancel/")
    assert answer["Location"] == running.get_absolute_url()
    running.job.refresh_from_db()
    assert running.job.cancel_requested


def test_others_are_told_why_they_cannot(viewer: Client, running: TrainingRun) -> None:
    assert "Only the person who started it" in (
        viewer.get(running.get_absolute_url()).content.decode()
    )
    assert viewer.post(f"{running.get_absolute_url()}cancel/").status_code == 403
    running.job.refresh_from_db()
    assert not running.job.cancel_requested


def test_a_get_never_cancels(requester: Client, running: TrainingRun) -> None:
    assert requester.get(f"{running.get_absolute_url()}cancel/").status_code == 405


def test_what_is_not_in_mlflow_yet_is_said(viewer: Client) -> None:
    run = TrainingRunFactory(mlflow_run_id=None, mlflow_available=False, journal_id="j1")
    text = viewer.get(run.get_absolute_url()).content.decode()
    assert "Not everything of this run is in MLflow yet." in text
    assert "not written yet" in text
    assert "/#/experiments/" not in text


def test_a_failed_run_says_why(viewer: Client) -> None:
    run = TrainingRunFactory(
        status="failed", error_message="The data leak.", test_metrics={}, evaluation={}
    )
    QualityFactory(
        training_run=run, passed=False, score=0.7, blocking=["Feature x gives the target away."]
    )
    text = viewer.get(run.get_absolute_url()).content.decode()
    for words in ("The run failed.", "The data leak.", "Feature x gives the target away."):
        assert words in text


def test_a_missed_criterion_is_not_called_good(viewer: Client) -> None:
    run = TrainingRunFactory(experiment=ExperimentFactory(minimum_auc=0.9))
    tone, words, detail = viewer.get(run.get_absolute_url()).context["headline"]
    assert tone == "bad"
    assert "misses 1 of 1" in words
    assert "needed ≥ 0.9" in detail


def test_a_run_of_others_shows_what_mlflow_has(viewer: Client) -> None:
    run = TrainingRunFactory(
        experiment=None,
        source="mlflow",
        user_name="dana",
        created_by=None,
        metrics={"val_auc": 0.77},
        params={"depth": "5"},
        hyperparameters={},
        test_metrics={},
        evaluation={},
    )
    text = viewer.get(run.get_absolute_url()).content.decode()
    for words in ("by dana outside E2I", "val_auc", "0.77", "depth"):
        assert words in text


def test_a_regression_shows_predicted_against_true(viewer: Client) -> None:
    run = TrainingRunFactory(
        test_metrics={"r2": 0.6, "rmse": 1.2},
        primary_metric="r2",
        evaluation={"curves": {"residuals": [[1.0, 1.2], [2.0, 1.8]]}, "classes": []},
    )
    text = viewer.get(run.get_absolute_url()).content.decode()
    assert 'aria-label="Predicted and true"' in text
    assert "Confusion matrix" not in text


def test_an_empty_run_breaks_nothing(viewer: Client) -> None:
    run = TrainingRunFactory(
        experiment=None, dataset=None, algorithm="", test_metrics={}, evaluation={}, run_name=""
    )
    assert viewer.get(run.get_absolute_url()).status_code == 200


# --- selections -------------------------------------------------------------------------------


def test_a_finished_selection_gives_its_reasons(
    viewer: Client, django_assert_max_num_queries: Any
) -> None:
    selection = SelectionFactory(
        metric="roc_auc",
        constraints={"max_latency_ms": 20, "folds": 3},
        history={"LightGBM": {"success_rate": 0.76, "runs": 0, "source": "prior"}},
        rationale={
            "primary_reason": "It has the highest combined score.",
            "supporting_factors": ["One prediction took 1.40 ms."],
            "alternatives": [
                {"algorithm": "XGBoost", "score_difference": -0.012, "reason": "Lower score."}
            ],
            "constraint_compliance": {"latency": "met: 1.4, limit 20"},
        },
    )
    CandidateFactory(selection=selection, outcome="selected")
    CandidateFactory(
        selection=selection,
        algorithm="XGBoost",
        outcome="failed",
        reasons=["ValueError: no"],
        combined_score=None,
        benchmark_mean=None,
    )
    CandidateFactory(selection=selection, algorithm="Dummy", role="dummy", combined_score=None)
    with django_assert_max_num_queries(9):
        text = viewer.get(selection.get_absolute_url()).content.decode()
    for words in (
        "LightGBM is selected.",
        "It has the highest combined score.",
        "at most 20 ms",
        "met: 1.4, limit 20",
        "−0.012",
        "ValueError: no",
        "dummy predictor",
        "prior, 0 runs",
    ):
        assert words in text


def test_a_running_selection_polls_and_can_be_cancelled(requester: Client, people: Any) -> None:
    selection = SelectionFactory(status="running", selected_algorithm="", job=job(people.requester))
    text = requester.get(selection.get_absolute_url()).content.decode()
    assert 'hx-trigger="every 2s"' in text
    assert "Benchmark the best" in text
    requester.post(f"{selection.get_absolute_url()}cancel/")
    selection.job.refresh_from_db()
    assert selection.job.cancel_requested


def test_a_failed_selection_chose_nothing(viewer: Client) -> None:
    selection = SelectionFactory(
        status="failed", selected_algorithm="", error_message="No algorithm meets the constraints."
    )
    text = viewer.get(selection.get_absolute_url()).content.decode()
    assert "Nothing was selected." in text
    assert "No algorithm meets the constraints." in text
