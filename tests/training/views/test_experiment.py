"""Experiments, and what is started from them."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from e2i_site.jobs.models import Job
from e2i_site.trail.models import TrailEntry
from tests.factories.registry import EntryFactory, ModelFactory
from tests.factories.training import (
    DatasetFactory,
    ExperimentFactory,
    SelectionFactory,
    TrainingRunFactory,
)
from training.choices import ProblemType
from training.models import Experiment, Selection, TrainingRun

pytestmark = pytest.mark.django_db


@pytest.fixture
def visits(db: None) -> Experiment:
    return ExperimentFactory(experiment_id="visits", name="Any visit")


def test_the_page_holds_the_question_against_its_best_run(
    viewer: Client, visits: Experiment
) -> None:
    run = TrainingRunFactory(experiment=visits, validation_metrics={"roc_auc": 0.8})
    SelectionFactory(experiment=visits, rationale={"primary_reason": "It is the fastest."})
    EntryFactory(model=ModelFactory(name="m", experiment=visits), training_run=run)
    page = viewer.get("/training/experiments/visits/").content.decode()
    for words in (
        "The best run meets the success criterion",
        "It is the fastest.",
        "m v1",
        str(run),
    ):
        assert words in page


def test_a_new_experiment_says_what_to_do_next(viewer: Client, visits: Experiment) -> None:
    page = viewer.get("/training/experiments/visits/").content.decode()
    assert "No finished run yet." in page


def test_the_page_takes_few_queries(
    viewer: Client, visits: Experiment, django_assert_max_num_queries: Any
) -> None:
    for _ in range(5):
        run = TrainingRunFactory(experiment=visits, validation_metrics={"roc_auc": 0.8})
        EntryFactory(model=ModelFactory(experiment=visits), training_run=run)
        SelectionFactory(experiment=visits)
    with django_assert_max_num_queries(9):
        viewer.get("/training/experiments/visits/")


def test_an_unknown_experiment_is_not_found(viewer: Client) -> None:
    assert viewer.get("/training/experiments/nothing/").status_code == 404


def test_the_list_can_be_filtered(viewer: Client, visits: Experiment) -> None:
    ExperimentFactory(experiment_id="costs", problem_type=ProblemType.REGRESSION)
    found = viewer.get("/training/experiments/", {"problem_type": "regression"})
    assert [each.experiment.experiment_id for each in found.context["experiments"]] == ["costs"]
    nothing = viewer.get("/training/experiments/", {"text": "zebra"}).content.decode()
    assert "No experiments match" in nothing


# --- asking -----------------------------------------------------------------------------------


def asked(**changes: Any) -> dict[str, Any]:
    return {
        "name": "Any visit",
        "experiment_id": "any-visit",
        "dataset": DatasetFactory().pk,
        "minimum_auc": "0.7",
        **changes,
    }


def test_a_requester_asks_a_question(requester: Client) -> None:
    answer = requester.post("/training/experiments/new/", asked())
    assert answer["Location"] == "/training/experiments/any-visit/"
    assert Experiment.objects.get().minimum_auc == 0.7
    assert TrailEntry.objects.filter(event="training.experiment.created").exists()


def test_a_viewer_is_told_why_not_and_cannot(viewer: Client) -> None:
    data = asked()
    page = viewer.get("/training/experiments/new/").content.decode()
    assert "Your roles do not include creating experiments" in page
    refused = viewer.post("/training/experiments/new/", data)
    assert refused.status_code == 400
    assert not Experiment.objects.exists()


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"experiment_id": "e2i_visits"}, "Leave out"),
        ({"experiment_id": "with blank"}, "valid"),
        ({"minimum_auc": "0.2"}, "0.5"),
        ({"minimum_r2": "0.4"}, "not measured for a binary classification problem"),
    ],
)
def test_what_is_wrong_stands_beside_the_field_and_nothing_typed_is_lost(
    requester: Client, wrong: dict[str, str], said: str
) -> None:
    answer = requester.post(
        "/training/experiments/new/", asked(description="A long thought.", **wrong)
    )
    page = answer.content.decode()
    assert answer.status_code == 400
    assert said in page
    assert "A long thought." in page
    assert not Experiment.objects.exists()


def test_an_id_that_is_taken_is_a_conflict_on_the_form(
    requester: Client, visits: Experiment
) -> None:
    answer = requester.post("/training/experiments/new/", asked(experiment_id="visits"))
    assert answer.status_code == 400
    assert "already" in answer.content.decode()


# --- starting ---------------------------------------------------------------------------------


def test_a_selection_is_started_with_its_constraints(requester: Client, visits: Experiment) -> None:
    answer = requester.post(
        "/training/experiments/visits/select/",
        {"max_latency_ms": "20", "exclude": ["RandomForest"], "top": "2", "folds": "4"},
    )
    selection = Selection.objects.get()
    assert answer["Location"] == f"/training/selections/{selection.pk}/"
    assert selection.constraints["max_latency_ms"] == 20
    assert selection.constraints["exclude"] == ["RandomForest"]
    assert selection.constraints["top"] == 2
    assert selection.job.kind == "training.select"


def test_an_algorithm_cannot_be_left_out_and_preferred(
    requester: Client, visits: Experiment
) -> None:
    answer = requester.post(
        "/training/experiments/visits/select/",
        {"exclude": ["XGBoost"], "preferred": ["XGBoost"], "top": "3", "folds": "5"},
    )
    assert answer.status_code == 400
    assert "cannot be left out and preferred" in answer.content.decode()


def test_a_constraint_that_cannot_be_is_named(requester: Client, visits: Experiment) -> None:
    answer = requester.post(
        "/training/experiments/visits/select/", {"max_latency_ms": "-1", "top": "3", "folds": "5"}
    )
    assert answer.status_code == 400
    assert "above 0" in answer.content.decode()
    assert not Job.objects.exists()


def test_a_training_is_started_as_selected(requester: Client, visits: Experiment) -> None:
    SelectionFactory(experiment=visits, selected_algorithm="XGBoost")
    page = requester.get("/training/experiments/visits/train/").content.decode()
    assert "As selected: XGBoost" in page
    answer = requester.post(
        "/training/experiments/visits/train/",
        {"trials": "5", "minutes": "2", "folds": "3", "seed": "42"},
    )
    run = TrainingRun.objects.get()
    assert answer["Location"] == f"/training/runs/{run.pk}/"
    assert run.algorithm == "XGBoost"
    assert run.request["timeout_seconds"] == 120


def test_without_a_selection_an_algorithm_must_be_chosen(
    requester: Client, visits: Experiment
) -> None:
    data = {"trials": "5", "minutes": "2", "folds": "3", "seed": "42"}
    assert requester.post("/training/experiments/visits/train/", data).status_code == 400
    data["algorithm"] = "LightGBM"
    assert requester.post("/training/experiments/visits/train/", data).status_code == 303


def test_regression_has_no_classes_to_balance(requester: Client) -> None:
    ExperimentFactory(experiment_id="costs", problem_type=ProblemType.REGRESSION)
    page = requester.get("/training/experiments/costs/train/").content.decode()
    assert "Balancing" not in page
    assert "Ridge" in page


@pytest.mark.parametrize("what", ["select", "train"])
def test_a_viewer_starts_nothing(viewer: Client, visits: Experiment, what: str) -> None:
    address = f"/training/experiments/visits/{what}/"
    assert "Your roles do not include starting" in viewer.get(address).content.decode()
    data = {"top": "3", "folds": "3", "trials": "1", "minutes": "1", "seed": "1"}
    answer = viewer.post(address, {**data, "algorithm": "LightGBM"})
    assert answer.status_code == 400
    assert not Job.objects.exists()
