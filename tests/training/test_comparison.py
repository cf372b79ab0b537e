from __future__ import annotations

import pytest

from tests.factories.training import DatasetFactory, SplitFactory, TrainingRunFactory
from training.comparison import compare

pytestmark = pytest.mark.django_db


def test_better_follows_each_metrics_direction() -> None:
    baseline = TrainingRunFactory(
        test_metrics={"roc_auc": 0.7, "brier": 0.2, "calibration_slope": 0.8}
    )
    other = TrainingRunFactory(
        dataset=baseline.dataset,
        test_metrics={"roc_auc": 0.8, "brier": 0.25, "calibration_slope": 1.1},
    )
    rows = {row.name: row for row in compare([baseline, other], baseline).metrics}

    assert rows["test_roc_auc"].cells[1].better is True
    assert rows["test_brier"].cells[1].better is False
    assert rows["test_calibration_slope"].cells[1].better is True
    assert rows["test_brier"].cells[0].best


def test_the_bounds_of_an_interval_are_no_metrics_of_their_own() -> None:
    mirrored = {"test_roc_auc": 0.7, "test_roc_auc_low": 0.6, "test_roc_auc_high": 0.8}
    run = TrainingRunFactory(
        test_metrics={"roc_auc": 0.7},
        metrics={**mirrored, "test_tide_low": 0.3},
        evaluation={"intervals": {"roc_auc": [0.6, 0.8]}},
    )
    found = {row.name: row for row in compare([run], run).metrics}
    assert set(found) == {"test_roc_auc", "test_tide_low"}
    assert (found["test_roc_auc"].cells[0].low, found["test_roc_auc"].cells[0].high) == (0.6, 0.8)


def test_the_baseline_comes_first_whatever_the_order() -> None:
    one, two, three = TrainingRunFactory.create_batch(3)
    assert compare([one, two, three], three).runs == (three, one, two)


def test_equal_runs_have_nothing_better_and_nothing_different() -> None:
    one = TrainingRunFactory()
    two = TrainingRunFactory(experiment=one.experiment, dataset=one.dataset)
    found = compare([one, two], one)
    assert not any(row.differs for row in (*found.metrics, *found.facts, *found.parameters))
    assert not any(cell.best or cell.better for row in found.metrics for cell in row.cells)


def test_other_data_warns() -> None:
    one = TrainingRunFactory()
    two = TrainingRunFactory(dataset=DatasetFactory(name="elsewhere"))
    assert "different data" in compare([one, two], one).warnings[0]


def test_another_seed_warns() -> None:
    one = TrainingRunFactory()
    two = TrainingRunFactory(dataset=one.dataset)
    SplitFactory(training_run=one, seed=42)
    SplitFactory(training_run=two, seed=7)
    assert compare([one, two], one).warnings == (
        "They were split with different seeds (7, 42): the test rows differ.",
    )


def test_an_unrecorded_split_is_no_proof_of_equal_rows() -> None:
    one = TrainingRunFactory()
    two = TrainingRunFactory(dataset=one.dataset)
    SplitFactory(training_run=one)
    assert "not recorded" in compare([one, two], one).warnings[0]
