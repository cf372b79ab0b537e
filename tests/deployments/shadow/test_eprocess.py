"""The claims about the evidence: exact numbers, type-I error under repeated looks, power."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad

from deployments.shadow.eprocess import log_evidence_above, log_evidence_below

LIMIT = 0.01
THRESHOLD = math.log(20)


def by_quadrature(k: int, n: int, limit: float, low: float, high: float, b: float = 1.0) -> float:
    """The defining integral for a Beta(1, b) mixture, summed around its peak."""

    def log_integrand(q: float) -> float:
        return (
            k * math.log(q / limit)
            + (n - k) * math.log1p((limit - q) / (1 - limit))
            + (b - 1) * math.log1p(-q)
        )

    peak = min(max(k / (n + b - 1) if n + b > 1 else low, low + 1e-12), high - 1e-12)
    width = max(math.sqrt(peak * (1 - peak) / n), 1 / n)
    steps = (-40, -10, -3, -1, 0, 1, 3, 10, 40)
    cuts = sorted({low, high, *(min(max(peak + j * width, low), high) for j in steps)})
    top = log_integrand(peak)
    mass = ((1 - low) ** b - (1 - high) ** b) / b
    total = sum(
        quad(lambda q: math.exp(log_integrand(q) - top), x, y, epsrel=1e-11, limit=300)[0]
        for x, y in itertools.pairwise(cuts)
    )
    return top + math.log(total / mass)


@pytest.mark.parametrize("n", [1, 10, 1000, 100_000, 10_000_000, 100_000_000])
@pytest.mark.parametrize("share", [0.0, 0.001, 0.005, 0.01, 0.02])
def test_evidence_equals_its_integral(n: int, share: float) -> None:
    k = round(n * share)
    below = by_quadrature(k, n, LIMIT, 1e-15, LIMIT)
    above = by_quadrature(k, n, LIMIT, LIMIT, 1 - 1e-15, b=100)
    assert float(log_evidence_below(k, n, LIMIT)) == pytest.approx(below, rel=1e-9, abs=1e-6)
    assert float(log_evidence_above(k, n, LIMIT)) == pytest.approx(above, rel=1e-9, abs=1e-6)


@given(n=st.integers(0, 100_000_000), limit=st.floats(0.0005, 0.9))
def test_closed_forms_at_the_edges(n: int, limit: float) -> None:
    """k = n and k = 0 have elementary integrals."""
    everything = -math.log(n + 1)
    log_keep = (n + 1) * math.log1p(-limit)
    nothing = math.log(-math.expm1(log_keep)) - math.log((n + 1) * limit)
    nothing -= n * math.log1p(-limit)
    assert float(log_evidence_below(n, n, limit)) == pytest.approx(everything, rel=1e-9, abs=1e-7)
    assert float(log_evidence_below(0, n, limit)) == pytest.approx(nothing, rel=1e-9, abs=1e-7)


@given(
    n=st.integers(0, 10_000_000), share=st.floats(0, 1), limit=st.floats(0.001, 0.5), data=st.data()
)
def test_evidence_is_finite_and_falls_with_every_hit(
    n: int, share: float, limit: float, data: st.DataObject
) -> None:
    fewer = int(share * n)
    more = data.draw(st.integers(fewer, n))
    below = log_evidence_below([fewer, more], n, limit)
    above = log_evidence_above([fewer, more], n, limit)
    assert np.isfinite(below).all() and np.isfinite(above).all()
    assert below[0] >= below[1] - 1e-6
    assert above[0] <= above[1] + 1e-6


@given(n=st.integers(0, 5000), share=st.floats(0, 1), rate=st.floats(LIMIT, 1))
def test_one_step_mean_never_grows_when_the_rate_is_at_or_over_the_limit(
    n: int, share: float, rate: float
) -> None:
    """The supermartingale property itself, for any history."""
    k = int(share * n)
    now, hit, miss = log_evidence_below([k, k + 1, k], [n, n + 1, n + 1], LIMIT)
    growth = rate * math.exp(hit - now) + (1 - rate) * math.exp(miss - now)
    assert growth <= 1 + 1e-9


@given(n=st.integers(0, 5000), share=st.floats(0, 1), rate=st.floats(0, LIMIT))
def test_one_step_mean_of_the_evidence_above(n: int, share: float, rate: float) -> None:
    k = int(share * n)
    now, hit, miss = log_evidence_above([k, k + 1, k], [n, n + 1, n + 1], LIMIT)
    growth = rate * math.exp(hit - now) + (1 - rate) * math.exp(miss - now)
    assert growth <= 1 + 1e-9


@pytest.mark.parametrize(("hits", "requests", "limit"), [(-1, 5, 0.1), (6, 5, 0.1), (1, 5, 0.0)])
def test_impossible_counts_are_refused(hits: int, requests: int, limit: float) -> None:
    with pytest.raises(ValueError, match=r"Hits|limit"):
        log_evidence_below(hits, requests, limit)


def weeks(rate: float, repeats: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Hits and requests at each hourly look of a week with 1000 requests a day."""
    rng = np.random.default_rng(seed)
    looks = 24 * 7
    sizes = np.diff(np.round(np.arange(looks + 1) * 1000 / 24)).astype(int)
    hits = rng.binomial(sizes, rate, size=(repeats, looks)).cumsum(axis=1)
    return hits, np.cumsum(sizes)


@pytest.mark.parametrize(("rate", "at_most"), [(0.010, 0.05), (0.012, 0.012), (0.02, 0.001)])
def test_wrong_certificates_in_a_week_of_hourly_looks(rate: float, at_most: float) -> None:
    hits, requests = weeks(rate, repeats=4000, seed=7)
    wrong = (log_evidence_below(hits, requests, LIMIT) >= THRESHOLD).any(axis=1).mean()
    assert wrong <= at_most
    naive = ((hits / requests < LIMIT) & (requests >= 1000)).any(axis=1).mean()
    assert naive > 10 * wrong  # what the floors alone would let through


def test_wrong_failures_in_a_week_of_hourly_looks() -> None:
    hits, requests = weeks(0.01, repeats=4000, seed=8)
    assert (log_evidence_above(hits, requests, LIMIT) >= THRESHOLD).any(axis=1).mean() <= 0.05


def test_a_bad_version_is_failed_within_days() -> None:
    hits, requests = weeks(0.02, repeats=1000, seed=9)
    failed = log_evidence_above(hits, requests, LIMIT) >= THRESHOLD
    assert failed[:, requests <= 3000].any(axis=1).mean() > 0.9


@pytest.mark.parametrize(
    ("rate", "median"), [(0.001, 500), (0.003, 1000), (0.005, 2050), (0.007, 6700)]
)
def test_requests_needed_to_certify(rate: float, median: int) -> None:
    """The power table: median over streams that are looked at every 50 requests."""
    rng = np.random.default_rng(11)
    looks, repeats = 600, 400
    requests = 50 * np.arange(1, looks + 1)
    hits = rng.binomial(50, rate, size=(repeats, looks)).cumsum(axis=1)
    certified = log_evidence_below(hits, requests, LIMIT) >= THRESHOLD
    first = np.where(certified.any(axis=1), requests[certified.argmax(axis=1)], np.inf)
    assert float(np.median(first)) == pytest.approx(median, rel=0.2, abs=100)
