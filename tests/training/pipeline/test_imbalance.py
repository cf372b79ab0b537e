from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from e2i_site.core.errors import InvalidInput
from training.pipeline.data import Dataset, Target, build
from training.pipeline.fitting import prepare
from training.pipeline.imbalance import Level, detect, level_of, resample, weights
from training.pipeline.splits import split
from training.pipeline.types import Balancing, Split

RESAMPLING = [b for b in Balancing if b not in (Balancing.NONE, Balancing.CLASS_WEIGHT)]


def rare(share: float, rows: int = 1000) -> Dataset:
    y = np.zeros(rows, dtype=int)
    y[: int(share * rows)] = 1
    values = np.random.default_rng(0).normal(size=rows)
    return build("t", pd.DataFrame({"a": values, "y": y}), Target("y"))


@given(st.floats(0, 0.5))
def test_levels_follow_the_share_of_the_rarest_class(share: float) -> None:
    order = [Level.EXTREME, Level.SEVERE, Level.MODERATE, Level.NONE]
    expected = order[np.searchsorted([0.05, 0.20, 0.40], share, side="right")]
    assert level_of(share) is expected


@pytest.mark.parametrize(
    ("share", "level", "balancing"),
    [
        (0.5, Level.NONE, Balancing.NONE),
        (0.3, Level.MODERATE, Balancing.NONE),
        (0.1, Level.SEVERE, Balancing.CLASS_WEIGHT),
        (0.04, Level.EXTREME, Balancing.CLASS_WEIGHT),
    ],
)
def test_what_is_done_follows_the_level(share: float, level: Level, balancing: Balancing) -> None:
    data = rare(share)
    found = detect(data, split(data))
    assert (found.level, found.balancing) == (level, balancing)
    assert found.minority_share == pytest.approx(share, abs=0.01)


def test_three_even_classes_are_not_imbalanced(mixed: Dataset) -> None:
    frame = pd.DataFrame({"a": np.arange(600.0), "y": np.arange(600) % 3})
    data = build("t", frame, Target("y"))
    assert detect(data, split(data)).level is Level.NONE


@pytest.mark.parametrize("balancing", RESAMPLING)
def test_resampling_evens_out_and_never_comes_with_weights(balancing: Balancing) -> None:
    data = rare(0.1)
    splits = split(data)
    train, validation = splits[Split.TRAIN], splits[Split.VALIDATION]
    prepared = prepare(data, train, validation, scale=False, balancing=balancing)
    counts = np.bincount(prepared.y_fit.astype(int))
    assert counts.min() / counts.sum() > 0.45
    assert prepared.weight is None
    assert len(prepared.y_score) == len(validation)
    again = prepare(data, train, validation, scale=False, balancing=balancing)
    assert np.array_equal(prepared.X_fit, again.X_fit)


def test_weights_give_each_class_the_same_sum() -> None:
    y = np.array([0] * 90 + [1] * 10)
    weight = weights(y, Balancing.CLASS_WEIGHT)
    assert weight is not None
    assert weight[y == 0].sum() == pytest.approx(weight[y == 1].sum())
    X, same = resample(np.zeros((100, 1)), y, Balancing.CLASS_WEIGHT)
    assert len(X) == len(same) == 100


def test_too_few_neighbours_are_refused_by_name() -> None:
    with pytest.raises(InvalidInput, match="random_oversample"):
        resample(np.zeros((50, 1)), np.array([1] * 3 + [0] * 47), Balancing.SMOTE)


def test_regression_cannot_be_balanced(numbers: Dataset) -> None:
    with pytest.raises(InvalidInput):
        detect(numbers, split(numbers), Balancing.SMOTE)
    assert detect(numbers, split(numbers)).balancing is Balancing.NONE
