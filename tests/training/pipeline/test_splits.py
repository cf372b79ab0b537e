from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from training.pipeline.data import Dataset, Target, build
from training.pipeline.splits import (
    RATIOS,
    TOLERANCE,
    Strategy,
    choose_strategy,
    enforce,
    folds,
    shared,
    split,
)
from training.pipeline.types import Split


def table(groups: list[int], seed: int) -> Dataset:
    """One row a member of `groups`; rows of a group have equal features."""
    generator = np.random.default_rng(seed)
    y = (generator.random(len(groups)) < 0.4).astype(int)
    y[:2] = [0, 1]
    return build("t", pd.DataFrame({"a": groups, "y": y}), Target("y"))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 4), min_size=250, max_size=600), st.integers(0, 2**31))
def test_grouped_splits_hold_their_shares_and_cut_no_group(sizes: list[int], seed: int) -> None:
    groups = [group for group, size in enumerate(sizes) for _ in range(size)]
    data = table(groups, seed)
    splits = split(data, Strategy.GROUPED, seed)
    check = enforce(data, splits)
    assert check.blocking == ()
    assert shared(data.groups, splits) == 0
    every = np.concatenate([splits[name] for name in RATIOS])
    assert sorted(every) == list(range(len(data)))
    for name, ratio in RATIOS.items():
        assert abs(len(splits[name]) / len(data) - ratio) <= TOLERANCE


@settings(max_examples=40, deadline=None)
@given(st.integers(220, 2000), st.floats(0.05, 0.5), st.integers(0, 2**31))
def test_stratified_splits_have_the_same_mix(rows: int, share: float, seed: int) -> None:
    y = np.zeros(rows, dtype=int)
    y[: max(1, int(share * rows))] = 1
    np.random.default_rng(seed).shuffle(y)
    data = build("t", pd.DataFrame({"a": np.arange(rows), "y": y}), Target("y"))
    splits = split(data, Strategy.STRATIFIED, seed)
    for name, ratio in RATIOS.items():
        assert abs(len(splits[name]) / rows - ratio) <= TOLERANCE
        expected = ratio * y.sum()
        assert abs(int(y[splits[name]].sum()) - expected) <= 25
    again = split(data, Strategy.STRATIFIED, seed)
    assert again.digests == splits.digests
    assert split(data, Strategy.STRATIFIED, seed + 1).digests != splits.digests


def test_the_strategy_follows_the_data(cancer: Dataset, randhie: Dataset) -> None:
    assert choose_strategy(cancer) is Strategy.STRATIFIED
    assert choose_strategy(randhie) is Strategy.GROUPED
    check = enforce(randhie, split(randhie))
    assert check.blocking == ()


def test_chronological_splits_keep_the_order_and_moments_together() -> None:
    days = pd.date_range("2024-01-01", periods=100).repeat(5)
    frame = pd.DataFrame({"day": days, "a": range(500), "y": [0, 1] * 250})
    data = build("t", frame, Target("y"), time_column="day")
    splits = split(data)
    assert splits.strategy is Strategy.CHRONOLOGICAL
    assert enforce(data, splits).blocking == ()
    ends = [data.frame["day"].iloc[splits[name]] for name in RATIOS]
    for earlier, later in itertools.pairwise(ends):
        assert earlier.max() < later.min()
    for fit, score in folds(data, splits, 3):
        assert data.frame["day"].iloc[fit].max() <= data.frame["day"].iloc[score].min()


def test_a_group_too_large_to_keep_the_shares_blocks() -> None:
    data = table([0] * 280 + list(range(1, 121)), 1)
    reasons = enforce(data, split(data, Strategy.GROUPED)).blocking
    assert any("is required" in reason for reason in reasons)


def test_too_few_rows_block() -> None:
    data = table(list(range(60)), 1)
    reasons = enforce(data, split(data, Strategy.STRATIFIED)).blocking
    assert any("at least 10" in reason for reason in reasons)


def test_folds_stay_inside_the_training_rows_and_cut_no_group(randhie: Dataset) -> None:
    splits = split(randhie)
    train = set(splits[Split.TRAIN].tolist())
    scored: list[int] = []
    for fit, score in folds(randhie, splits, 3):
        assert train.issuperset(fit) and train.issuperset(score)
        assert not set(randhie.groups[fit]) & set(randhie.groups[score])
        scored.extend(score.tolist())
    assert sorted(scored) == sorted(train)
