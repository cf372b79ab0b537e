from __future__ import annotations

import itertools
import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.shadow.evidence import Minute, ShadowEvidence, ShadowLimits
from deployments.shadow.histogram import Histogram
from deployments.shadow.verdict import State, judge, requests_to_certify
from e2i_site.core.errors import InvalidInput

OPENED = datetime(2025, 3, 1, tzinfo=UTC)
LIMITS = ShadowLimits()


def evidence(
    minutes: int, requests: int, errors: int = 0, slow: int = 0, dropped: int = 0, void: str = ""
) -> ShadowEvidence:
    """A window of `minutes` with its counts spread evenly."""

    def spread(total: int, over: list[int]) -> list[int]:
        """`total` in proportion to `over`, never more than it where total <= sum(over)."""
        ends = [total * done // max(sum(over), 1) for done in itertools.accumulate(over)]
        return [end - start for start, end in itertools.pairwise([0, *ends])]

    counts = spread(requests, [1] * minutes)
    hits = zip(counts, spread(errors, counts), spread(slow, counts), strict=True)
    lost = spread(dropped, [1] * minutes)
    rows = tuple(
        Minute(OPENED + timedelta(minutes=i), *each, lost[i]) for i, each in enumerate(hits)
    )
    latency = Histogram.of([20.0] * (requests - slow) + [400.0] * slow)
    return ShadowEvidence(OPENED, OPENED + timedelta(minutes=minutes), rows, latency, void)


def test_a_young_window_says_exactly_what_it_needs() -> None:
    verdict = judge(evidence(minutes=2, requests=588), LIMITS)
    assert verdict.state is State.INCONCLUSIVE
    assert verdict.sentence == "needs 23 h 58 min and 412 more requests"
    assert verdict.further_requests == 412
    assert verdict.further_time == timedelta(hours=23, minutes=58)


def test_nothing_measured_is_inconclusive() -> None:
    verdict = judge(ShadowEvidence(OPENED, OPENED + timedelta(days=30)), LIMITS)
    assert verdict.state is State.INCONCLUSIVE
    assert verdict.sentence == "needs 1,000 more requests; no traffic at present"
    assert [each.measured for each in verdict.criteria[2:]] == [None, None]


def test_a_clean_day_passes() -> None:
    verdict = judge(evidence(minutes=25 * 60, requests=1500, errors=1, slow=1), LIMITS)
    assert verdict.state is State.PASS
    assert {each.outcome for each in verdict.criteria} == {State.PASS}
    assert verdict.notes == ()


def test_observed_below_the_limit_is_not_yet_certain() -> None:
    verdict = judge(evidence(minutes=25 * 60, requests=1000, errors=8), LIMITS)
    assert verdict.state is State.INCONCLUSIVE
    assert verdict.further_requests is not None
    assert verdict.further_requests > 1000
    assert "at the present traffic" in verdict.sentence


@pytest.mark.parametrize(("what", "label"), [("errors", "error rate"), ("slow", "latency p99")])
def test_clearly_above_a_limit_fails_at_any_time(what: str, label: str) -> None:
    verdict = judge(evidence(minutes=10, requests=300, **{what: 30}), LIMITS)
    assert verdict.state is State.FAIL
    assert verdict.sentence.startswith(f"fails: {label}")


def test_a_rate_over_the_limit_has_no_estimate() -> None:
    verdict = judge(evidence(minutes=25 * 60, requests=1000, errors=12), LIMITS)
    assert verdict.state is State.INCONCLUSIVE
    assert verdict.further_requests is None
    assert "at the measured error rate it will not pass" in verdict.sentence


def test_dropped_requests_count_against_a_pass_and_never_towards_a_fail() -> None:
    clean = judge(evidence(minutes=25 * 60, requests=1500), LIMITS)
    gaps = judge(evidence(minutes=25 * 60, requests=1500, dropped=200), LIMITS)
    assert clean.state is State.PASS
    assert gaps.state is State.INCONCLUSIVE
    assert "200 mirrored requests were dropped" in gaps.notes[0]


def test_bursts_are_pointed_out() -> None:
    """One minute in twenty holds all traffic; the failures sit in quiet minutes of their own."""
    minutes = [Minute(OPENED + timedelta(minutes=i), 20, 0, 0) for i in range(1500)]
    minutes += [Minute(OPENED + timedelta(minutes=1500 + i), 1, 1, 0) for i in range(20)]
    latency = Histogram.of([20.0] * 30_020)
    window = ShadowEvidence(OPENED, OPENED + timedelta(minutes=1520), tuple(minutes), latency)
    verdict = judge(window, LIMITS)
    assert verdict.criteria[2].outcome is State.PASS
    assert any("minute by minute it is not" in note for note in verdict.notes)


def test_a_void_window_never_passes() -> None:
    verdict = judge(evidence(minutes=25 * 60, requests=5000, void="the digest changed."), LIMITS)
    assert verdict.state is State.INCONCLUSIVE
    assert verdict.sentence == "Void: the digest changed."


class TestFloorsOnly:
    limits = ShadowLimits(hours=0.05, requests=100, sequential=False)

    def test_says_so(self) -> None:
        verdict = judge(evidence(minutes=4, requests=120), self.limits)
        assert verdict.state is State.PASS
        assert "Only the floors were applied" in verdict.notes[0]

    def test_fails_at_the_end_only(self) -> None:
        assert judge(evidence(1, 50, errors=5), self.limits).state is State.INCONCLUSIVE
        assert judge(evidence(4, 120, errors=5), self.limits).state is State.FAIL

    def test_gaps_do_not_pass(self) -> None:
        verdict = judge(evidence(minutes=4, requests=120, dropped=5), self.limits)
        assert verdict.state is State.INCONCLUSIVE


@given(
    minutes=st.integers(1, 3000),
    requests=st.integers(0, 50_000),
    shares=st.tuples(st.floats(0, 0.05), st.floats(0, 0.05), st.floats(0, 0.05)),
)
def test_a_pass_always_means_every_floor_holds(
    minutes: int, requests: int, shares: tuple[float, float, float]
) -> None:
    errors, slow, dropped = (int(share * requests) for share in shares)
    verdict = judge(evidence(minutes, requests, errors, slow, dropped), LIMITS)
    json.dumps(verdict.to_json())
    if verdict.state is State.PASS:
        assert minutes >= 24 * 60
        assert requests >= 1000
        assert errors + dropped < 0.01 * (requests + dropped)
        assert slow + dropped < 0.01 * (requests + dropped)
    if verdict.state is State.FAIL:
        assert max(errors, slow) > 0.01 * requests


@given(
    n=st.integers(0, 20_000), share=st.floats(0, 0.009), rate=st.floats(0, 0.009), data=st.data()
)
def test_the_estimate_is_the_first_number_that_certifies(
    n: int, share: float, rate: float, data: st.DataObject
) -> None:
    hits = int(share * n)
    further = requests_to_certify(hits, n, 0.01, rate, 3.0)
    assert further is not None
    assert requests_to_certify(hits + rate * further, n + further, 0.01, rate, 3.0) == 0
    if further:
        fewer = data.draw(st.integers(max(0, further - 3), further - 1))
        assert requests_to_certify(hits + rate * fewer, n + fewer, 0.01, rate, 3.0) != 0


def test_limits_round_trip_and_refuse_what_does_not_fit() -> None:
    assert ShadowLimits.from_json(LIMITS.to_json()) == LIMITS
    with pytest.raises(InvalidInput, match="hours"):
        ShadowLimits.from_json({})
    with pytest.raises(InvalidInput):
        ShadowLimits(error_rate=0)
