"""Two versions side by side: directions, intervals, differences and warnings."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.comparison import compare, metric_rows
from tests.factories.registry import EntryFactory, ModelFactory
from tests.factories.training import DatasetFactory, SplitFactory, TrainingRunFactory
from training.models import TrainingRun


def _run(metrics: dict[str, float], intervals: dict[str, Any] | None = None) -> TrainingRun:
    return TrainingRun(
        test_metrics=metrics,
        evaluation={"intervals": intervals or {}},
        primary_metric="roc_auc",
    )


@pytest.mark.parametrize(
    ("metric", "candidate", "baseline", "better"),
    [
        ("roc_auc", 0.8, 0.7, True),
        ("roc_auc", 0.7, 0.8, False),
        ("brier", 0.1, 0.2, True),
        ("rmse", 3.0, 2.0, False),
        ("calibration_slope", 1.05, 0.8, True),
        ("calibration_slope", 1.4, 1.1, False),
        ("roc_auc", 0.7, 0.7, None),
        ("threshold", 0.4, 0.5, None),
        ("somebody_elses_metric", 2.0, 1.0, None),
    ],
)
def test_better_follows_the_direction_of_the_metric(
    metric: str, candidate: float, baseline: float, better: bool | None
) -> None:
    (row,) = metric_rows(_run({metric: candidate}), _run({metric: baseline}))
    assert row.better is better
    assert row.delta == pytest.approx(candidate - baseline)


def test_the_primary_metric_comes_first() -> None:
    rows = list(metric_rows(_run({"brier": 0.1, "accuracy": 0.9, "roc_auc": 0.8}), None))
    assert rows[0].name == "roc_auc"


def test_a_metric_of_one_side_has_no_delta() -> None:
    rows = {row.name: row for row in metric_rows(_run({"f1": 0.5}), _run({"recall": 0.5}))}
    assert {name: (row.delta, row.better) for name, row in rows.items()} == {
        "f1": (None, None),
        "recall": (None, None),
    }


@pytest.mark.parametrize(
    ("mine", "other", "apart"),
    [
        ([0.70, 0.74], [0.60, 0.69], True),
        ([0.60, 0.69], [0.70, 0.74], True),
        ([0.60, 0.71], [0.70, 0.74], False),
        (None, [0.70, 0.74], None),
    ],
)
def test_intervals_apart(mine: list[float] | None, other: list[float], apart: bool | None) -> None:
    (row,) = metric_rows(
        _run({"roc_auc": 0.7}, {"roc_auc": mine}), _run({"roc_auc": 0.72}, {"roc_auc": other})
    )
    assert row.apart is apart


_values = st.dictionaries(
    st.sampled_from(["roc_auc", "brier", "calibration_slope", "rmse", "unknown"]),
    st.floats(-5, 5),
    max_size=5,
)


@given(_values, _values)
def test_swapping_the_sides_swaps_the_answer(
    mine: dict[str, float], other: dict[str, float]
) -> None:
    forth = {row.name: row for row in metric_rows(_run(mine), _run(other))}
    back = {row.name: row for row in metric_rows(_run(other), _run(mine))}
    assert forth.keys() == back.keys() == mine.keys() | other.keys()
    for name, row in forth.items():
        assert row.better == (None if back[name].better is None else not back[name].better)
        assert row.delta == (None if back[name].delta is None else -back[name].delta)


@pytest.mark.django_db
def test_everything_that_differs_is_named() -> None:
    model = ModelFactory()
    baseline = EntryFactory(model=model, hyperparameters={"depth": 3, "rate": 0.1})
    candidate = EntryFactory(
        model=model,
        hyperparameters={"depth": 5, "leaves": 31, "rate": 0.1},
        algorithm="XGBoost",
        signature={"inputs": [{"name": "age", "type": "long"}], "outputs": [{"type": "double"}]},
    )
    found = compare(candidate, baseline)
    parameters = {row.name: (row.candidate, row.baseline, row.changed) for row in found.parameters}
    assert parameters == {
        "depth": (5, 3, True),
        "leaves": (31, None, True),
        "rate": (0.1, 0.1, False),
    }
    columns = {row.name: (row.candidate, row.baseline) for row in found.signature if row.changed}
    assert columns == {"age": ("long", "double"), "income": (None, "double")}
    assert {row.name for row in found.facts if row.changed} == {"Algorithm"}


@pytest.mark.django_db
def test_warnings_say_when_metrics_are_not_of_the_same_rows() -> None:
    model = ModelFactory()
    dataset = DatasetFactory()

    def entry(dataset: Any, test_digest: str | None) -> Any:
        run = TrainingRunFactory(experiment=model.experiment, dataset=dataset)
        if test_digest:
            SplitFactory(training_run=run, digests={"test": test_digest})
        return EntryFactory(model=model, training_run=run)

    base = entry(dataset, "aa")
    assert compare(entry(dataset, "aa"), base).warnings == ()
    assert "test rows differ" in compare(entry(dataset, "bb"), base).warnings[0]
    assert "not recorded" in compare(entry(dataset, None), base).warnings[0]
    other = DatasetFactory(name="later-visits")
    assert "different data: later-visits" in compare(entry(other, "aa"), base).warnings[0]
    assert (
        "no training run" in compare(EntryFactory(model=model, training_run=None), base).warnings[0]
    )
    assert compare(base, None).warnings == ()
