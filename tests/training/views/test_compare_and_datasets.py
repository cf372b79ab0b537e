"""Runs side by side, and data sets."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from tests.factories.training import DatasetFactory, ExperimentFactory, TrainingRunFactory

pytestmark = pytest.mark.django_db


def test_only_differences_are_shown_until_asked(viewer: Client) -> None:
    one = TrainingRunFactory(hyperparameters={"depth": 3, "rate": 0.1})
    two = TrainingRunFactory(
        experiment=one.experiment, dataset=one.dataset, hyperparameters={"depth": 5, "rate": 0.1}
    )
    address = f"/training/compare/?runs={one.pk},{two.pk}&baseline={two.pk}"
    page = viewer.get(address)
    assert page.context["comparison"].baseline == two
    text = page.content.decode()
    assert ">depth" in text
    assert ">rate" not in text
    assert ">rate" in viewer.get(f"{address}&all=1").content.decode()


def test_ticked_boxes_compare_too(viewer: Client, django_assert_max_num_queries: Any) -> None:
    runs = TrainingRunFactory.create_batch(3)
    with django_assert_max_num_queries(6):
        page = viewer.get("/training/compare/", {"runs": [run.pk for run in runs]})
    assert len(page.context["runs"]) == 3


def test_other_data_warns_above_the_metrics(viewer: Client) -> None:
    one, two = TrainingRunFactory(), TrainingRunFactory()
    text = viewer.get(f"/training/compare/?runs={one.pk},{two.pk}").content.decode()
    assert text.index("different data") < text.index("Metrics")


def test_more_than_ten_are_not_compared_silently(viewer: Client) -> None:
    runs = TrainingRunFactory.create_batch(12, experiment=ExperimentFactory())
    page = viewer.get("/training/compare/", {"runs": ",".join(str(run.pk) for run in runs)})
    assert len(page.context["runs"]) == 10
    assert "2 more were left out" in page.content.decode()


@pytest.mark.parametrize("runs", ["", "1", "x,y", "999999,999998", "9" * 40])
def test_too_few_runs_say_what_to_do(viewer: Client, runs: str) -> None:
    page = viewer.get("/training/compare/", {"runs": runs})
    assert page.status_code == 200
    assert "Choose at least two runs" in page.content.decode()


def test_data_sets_are_listed_and_described(viewer: Client) -> None:
    dataset = DatasetFactory(
        name="visits",
        provenance="From the county.",
        columns=[
            {"name": "age", "dtype": "number", "missing": 3, "distinct": 60, "role": "feature"},
            {"name": "any", "dtype": "binary", "missing": 0, "distinct": 2, "role": "target"},
        ],
    )
    ExperimentFactory(dataset=dataset, name="Any visit?")
    assert dataset.name in viewer.get("/training/datasets/").content.decode()
    text = viewer.get(f"/training/datasets/{dataset.pk}/").content.decode()
    for words in (dataset.digest, "From the county.", "Any visit?", "age"):
        assert words in text


def test_without_data_sets_the_command_is_named(viewer: Client) -> None:
    assert "import_dataset" in viewer.get("/training/datasets/").content.decode()


def test_parallel_coordinates_leave_gaps_where_nothing_was_measured(viewer: Client) -> None:
    one = TrainingRunFactory(hyperparameters={"depth": 3}, test_metrics={"roc_auc": 0.7})
    two = TrainingRunFactory(hyperparameters={"depth": 5}, test_metrics={"roc_auc": 0.8})
    three = TrainingRunFactory(hyperparameters={}, test_metrics={"roc_auc": 0.9})
    ids = ",".join(str(run.pk) for run in (one, two, three))
    drawing = viewer.get(f"/training/compare/?runs={ids}").context["parallel"]
    assert [axis.label for axis in drawing.axes] == ["depth", "Test ROC AUC"]
    assert [len(line.points) for line in drawing.lines] == [2, 2, 1]
    assert "L" not in drawing.lines[2].path


def test_one_difference_is_no_drawing(viewer: Client) -> None:
    one = TrainingRunFactory(hyperparameters={"depth": 3})
    two = TrainingRunFactory(hyperparameters={"depth": 5})
    page = viewer.get(f"/training/compare/?runs={one.pk},{two.pk}")
    assert page.context["parallel"] is None
