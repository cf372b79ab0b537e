from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.shadow.histogram import Histogram, merged

durations = st.lists(st.floats(1e-3, 3e6), min_size=1, max_size=200)


@given(values=durations, share=st.floats(0.01, 1))
def test_quantiles_are_within_one_percent(values: list[float], share: float) -> None:
    exact = sorted(values)[math.ceil(share * len(values) - 1e-9) - 1]
    assert Histogram.of(values).quantile(share) == pytest.approx(exact, rel=0.0101)


@given(left=durations, right=durations)
def test_merging_equals_counting_together(left: list[float], right: list[float]) -> None:
    together = Histogram.of([*left, *right])
    assert merged([Histogram.of(left), Histogram.of(right)]).counts == together.counts
    assert together.total == len(left) + len(right)


@given(values=durations)
def test_json_round_trip(values: list[float]) -> None:
    histogram = Histogram.of(values)
    assert Histogram.from_json(json.loads(json.dumps(histogram.to_json()))) == histogram


def test_bars_hold_what_was_counted() -> None:
    ((low, high, count),) = Histogram.of([10.0, 10.0]).bars()
    assert low <= 10.0 <= high
    assert count == 2


def test_extremes_and_nothing() -> None:
    assert Histogram().quantile(0.99) is None
    assert Histogram.of([0.0]).quantile(1) == pytest.approx(1e-3, rel=0.02)
    assert Histogram.of([1e12]).quantile(1) == pytest.approx(3_600_000, rel=0.03)


@pytest.mark.parametrize("raw", [{"1": -1}, {"-3": 1}, {"x": 1}, {"999999": 1}])
def test_a_broken_document_is_refused(raw: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"histogram|literal"):
        Histogram.from_json(raw)


@pytest.mark.parametrize("wrong", [-1.0, math.nan])
def test_impossible_durations_are_refused(wrong: float) -> None:
    with pytest.raises(ValueError, match="duration"):
        Histogram().add(wrong)
