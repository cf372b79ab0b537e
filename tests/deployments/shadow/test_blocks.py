"""The block form holds its level when failures come in bursts, where the request form does not."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.shadow import blocks, eprocess

LIMIT = 0.01
THRESHOLD = math.log(20)


def bursty(rate: float, repeats: int, minutes: int, a_minute: int) -> np.ndarray:
    """Hits by minute where all requests of a minute fail together, or none does."""
    rng = np.random.default_rng(3)
    return a_minute * (rng.random((repeats, minutes)) < rate)


def test_bursts_break_the_request_form_and_not_the_block_form() -> None:
    a_minute, minutes = 20, 7 * 24 * 10
    hits = bursty(LIMIT, repeats=2000, minutes=minutes, a_minute=a_minute)
    requests = a_minute * np.arange(1, minutes + 1)
    single = eprocess.log_evidence_below(hits.cumsum(axis=1), requests, LIMIT)
    by_minute = blocks.log_evidence_path(hits / a_minute, LIMIT)
    assert (single >= THRESHOLD).any(axis=1).mean() > 0.2
    assert (by_minute >= THRESHOLD).any(axis=1).mean() <= 0.05


def test_independent_failures_keep_the_level() -> None:
    rng = np.random.default_rng(4)
    shares = rng.binomial(30, LIMIT, size=(2000, 2000)) / 30
    assert (blocks.log_evidence_path(shares, LIMIT) >= THRESHOLD).any(axis=1).mean() <= 0.05


def test_a_clean_day_is_certified() -> None:
    assert float(blocks.log_evidence_below(np.zeros(24 * 60), LIMIT)) > THRESHOLD


def test_a_bad_day_is_evidence_above() -> None:
    rng = np.random.default_rng(5)
    shares = rng.binomial(30, 0.05, size=24 * 60) / 30
    assert float(blocks.log_evidence_above(shares, LIMIT)) > THRESHOLD
    assert float(blocks.log_evidence_below(shares, LIMIT)) < 0


@given(
    shares=st.lists(st.floats(0, 1), max_size=60),
    last=st.floats(0, 1),
    mean=st.floats(LIMIT, 1),
)
def test_the_bet_on_a_minute_is_fixed_before_it_and_never_ruinous(
    shares: list[float], last: float, mean: float
) -> None:
    """The wealth after one more minute is linear in it: the bet did not look."""
    path = blocks.log_evidence_path([[*shares, x] for x in (0.0, 1.0, last)], LIMIT)
    assert np.isfinite(path).all()
    growth = np.exp(path[:, -1] - path[:, -2])
    assert growth[2] == pytest.approx((1 - last) * growth[0] + last * growth[1], rel=1e-6)
    assert (1 - mean) * growth[0] + mean * growth[1] <= 1 + 1e-9


def test_no_minutes_are_no_evidence() -> None:
    assert float(blocks.log_evidence_below([], LIMIT)) == 0.0


def test_impossible_shares_are_refused() -> None:
    with pytest.raises(ValueError, match="share"):
        blocks.log_evidence_below([1.2], LIMIT)
