"""The verdict on a shadow version: pass, fail, or how much more is needed.

One test serves both limits, because "p99 below L" is the same statement as "less than 1 % of
requests take L or longer". The verdict passes only where every floor holds and both rates are
certified, each at level alpha. As both must pass, the chance of a wrong pass stays at alpha.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deployments.shadow import blocks, eprocess
from deployments.shadow.evidence import Minute, ShadowEvidence, ShadowLimits
from deployments.shadow.wording import count, duration, percent

# The share of requests that may be slower than a p99 limit, by definition.
TAIL = 0.01
# Projections beyond this many further requests are of no use to anybody.
_HORIZON = 100_000_000


class State(StrEnum):
    PASS = "pass"  # noqa: S105
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True)
class Criterion:
    """One line of the verdict. `measured` and `limit` are in `unit`; None was not measured.

    `log_evidence` is that the rate is below its limit, `log_evidence_against` that it is above.
    `further_requests` is 0 when no more are needed, None when no number can be given.
    """

    key: str
    label: str
    unit: str
    measured: float | None
    limit: float
    outcome: State
    n: int
    sentence: str
    hits: int | None = None
    log_evidence: float | None = None
    log_evidence_against: float | None = None
    block_log_evidence: float | None = None
    further_requests: int | None = 0


@dataclass(frozen=True)
class Verdict:
    """The state, why, and what is still needed.

    `further_requests` and `further_time` are estimates at the measured rates and the present
    traffic; None where none can be given.
    """

    state: State
    sentence: str
    criteria: tuple[Criterion, ...]
    notes: tuple[str, ...] = ()
    further_requests: int | None = 0
    further_time: timedelta | None = timedelta(0)
    log_threshold: float | None = None

    def to_json(self) -> dict[str, Any]:
        """For records and the API; durations in seconds."""
        document = asdict(self)
        wait = self.further_time
        document["further_time"] = None if wait is None else wait.total_seconds()
        return document


def judge(evidence: ShadowEvidence, limits: ShadowLimits) -> Verdict:
    """The verdict on `evidence` under `limits`. Pure: same input, same verdict."""
    criteria = (
        _duration(evidence, limits),
        _requests(evidence, limits),
        _error_rate(evidence, limits),
        _latency(evidence, limits),
    )
    notes = _notes(evidence, limits, criteria)
    threshold = math.log(1 / limits.alpha) if limits.sequential else None
    if evidence.void:
        sentence = f"Void: {evidence.void}"
        return Verdict(
            State.INCONCLUSIVE, sentence, criteria, notes, None, None, log_threshold=threshold
        )
    further = _largest([each.further_requests for each in criteria])
    wait = _wait(evidence, limits, further)
    state = _worst([each.outcome for each in criteria])
    sentence = _sentence(state, evidence, limits, criteria, further, wait)
    if state is not State.INCONCLUSIVE:
        further, wait = 0, timedelta(0)
    return Verdict(state, sentence, criteria, notes, further, wait, threshold)


def requests_to_certify(
    hits: float, requests: float, limit: float, rate: float, log_threshold: float
) -> int | None:
    """How many further requests certify a rate below `limit`, if hits keep coming at `rate`.

    None when they never do, or not within 100 million.
    """

    def certified(further: int) -> bool:
        value = eprocess.log_evidence_below(hits + rate * further, requests + further, limit)
        return float(value) >= log_threshold

    if certified(0):
        return 0
    if rate >= limit:
        return None
    high = 64
    while not certified(high):
        high *= 2
        if high > _HORIZON:
            return None
    low = high // 2 if high > 64 else 0
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if certified(middle) else (middle, high)
    return high


def _duration(evidence: ShadowEvidence, limits: ShadowLimits) -> Criterion:
    hours = evidence.elapsed / timedelta(hours=1)
    enough = hours >= limits.hours
    limit = duration(timedelta(hours=limits.hours))
    return Criterion(
        key="duration",
        label="Duration",
        unit="h",
        measured=hours,
        limit=limits.hours,
        outcome=State.PASS if enough else State.INCONCLUSIVE,
        n=evidence.requests,
        sentence=f"open for {duration(evidence.elapsed)} of at least {limit}",
    )


def _requests(evidence: ShadowEvidence, limits: ShadowLimits) -> Criterion:
    missing = max(0, limits.requests - evidence.requests)
    return Criterion(
        key="requests",
        label="Requests",
        unit="",
        measured=float(evidence.requests),
        limit=float(limits.requests),
        outcome=State.INCONCLUSIVE if missing else State.PASS,
        n=evidence.requests,
        sentence=f"{count(evidence.requests)} of at least {count(limits.requests)}",
        further_requests=missing,
    )


def _error_rate(evidence: ShadowEvidence, limits: ShadowLimits) -> Criterion:
    n, errors = evidence.requests, evidence.errors
    rate = _rate(evidence, limits, "errors", limits.error_rate)
    seen = f"{count(errors)} of {count(n)} failed, {percent(errors / n)}" if n else "no request yet"
    return Criterion(
        key="error_rate",
        label="Error rate",
        unit="share",
        measured=errors / n if n else None,
        limit=limits.error_rate,
        n=n,
        sentence=f"{seen}; the limit is {percent(limits.error_rate)}. {rate.remark}".strip(),
        **rate.fields(),
    )


def _latency(evidence: ShadowEvidence, limits: ShadowLimits) -> Criterion:
    n, slow = evidence.requests, evidence.slow
    rate = _rate(evidence, limits, "slow", TAIL)
    p99 = evidence.latency.quantile(0.99)
    seen = (
        f"p99 {p99:.3g} ms, {count(slow)} of {count(n)} requests took the limit or longer"
        if n and p99 is not None
        else "no request yet"
    )
    return Criterion(
        key="latency_p99",
        label="Latency p99",
        unit="ms",
        measured=p99,
        limit=limits.p99_ms,
        n=n,
        sentence=f"{seen}; the limit is {limits.p99_ms:g} ms. {rate.remark}".strip(),
        **rate.fields(),
    )


@dataclass(frozen=True)
class _Rate:
    """The test of one rate against its limit."""

    outcome: State
    hits: int
    remark: str
    below: float | None = None
    above: float | None = None
    block: float | None = None
    further: int | None = 0

    def fields(self) -> dict[str, Any]:
        return {
            "outcome": self.outcome,
            "hits": self.hits,
            "log_evidence": self.below,
            "log_evidence_against": self.above,
            "block_log_evidence": self.block,
            "further_requests": self.further,
        }


def _rate(evidence: ShadowEvidence, limits: ShadowLimits, what: str, limit: float) -> _Rate:
    """Requests that were dropped unmeasured count against a pass, and never towards a fail."""
    hits: int = getattr(evidence, what)
    n, worst = evidence.requests, getattr(evidence, what) + evidence.dropped
    total = n + evidence.dropped
    if not n:
        threshold = math.log(1 / limits.alpha)
        needed = requests_to_certify(0, 0, limit, 0.0, threshold) if limits.sequential else 0
        return _Rate(State.INCONCLUSIVE, hits, "", further=needed)
    floor_holds = worst / total < limit
    if not limits.sequential:
        return _by_floor(evidence, limits, hits, floor_holds, hits / n < limit)
    threshold = math.log(1 / limits.alpha)
    below = float(eprocess.log_evidence_below(worst, total, limit))
    above = float(eprocess.log_evidence_above(hits, total, limit))
    block = _block_evidence(evidence.minutes, what, limit)
    if above >= threshold:
        return _Rate(State.FAIL, hits, "It is above the limit.", below, above, block)
    if below >= threshold and floor_holds:
        return _Rate(State.PASS, hits, "It is below the limit.", below, above, block)
    further = requests_to_certify(worst, total, limit, hits / n, threshold)
    remark = (
        "At the measured rate it will not be certified."
        if further is None
        else f"About {count(further)} more requests at this rate would certify it."
    )
    return _Rate(State.INCONCLUSIVE, hits, remark, below, above, block, further)


def _by_floor(
    evidence: ShadowEvidence, limits: ShadowLimits, hits: int, holds: bool, measured_holds: bool
) -> _Rate:
    """Without a sequential test the one look at the end of the window decides."""
    if holds:
        return _Rate(State.PASS, hits, "")
    over = evidence.elapsed >= timedelta(hours=limits.hours)
    if over and evidence.requests >= limits.requests and not measured_holds:
        return _Rate(State.FAIL, hits, "It is above the limit.")
    return _Rate(State.INCONCLUSIVE, hits, "", further=None)


def _block_evidence(minutes: tuple[Minute, ...], what: str, limit: float) -> float:
    """Evidence in the block form that the rate is below; dropped requests count as hits."""
    shares = [
        (getattr(minute, what) + minute.dropped) / (minute.requests + minute.dropped)
        for minute in minutes
        if minute.requests + minute.dropped
    ]
    return float(blocks.log_evidence_below(np.asarray(shares), limit))


def _notes(
    evidence: ShadowEvidence, limits: ShadowLimits, criteria: tuple[Criterion, ...]
) -> tuple[str, ...]:
    notes = []
    if not limits.sequential:
        notes.append(
            "Only the floors were applied, without a bound on chance: a window for demonstration."
        )
    if evidence.dropped:
        notes.append(
            f"{count(evidence.dropped)} mirrored requests were dropped unmeasured. They count "
            "against a pass."
        )
    if limits.sequential:
        spotless = np.zeros(sum(1 for m in evidence.minutes if m.requests + m.dropped))
        notes.extend(_disagreement(each, limits, spotless) for each in criteria[2:])
    return tuple(filter(None, notes))


def _disagreement(criterion: Criterion, limits: ShadowLimits, spotless: NDArray[np.float64]) -> str:
    """Says when requests and minutes tell different stories.

    Minutes too few to certify anything, even without a hit (`spotless`), tell none.
    """
    rate_limit = limits.error_rate if criterion.key == "error_rate" else TAIL
    block, threshold = criterion.block_log_evidence, math.log(1 / limits.alpha)
    if block is None or float(blocks.log_evidence_below(spotless, rate_limit)) < threshold:
        return ""
    if criterion.outcome is State.PASS and block < threshold:
        return (
            f"{criterion.label}: counted request by request the evidence is enough, counted minute "
            "by minute it is not: the hits came in bursts or in quiet minutes."
        )
    if criterion.outcome is not State.PASS and block >= threshold:
        return (
            f"{criterion.label}: counted minute by minute the evidence is enough, counted request "
            "by request it is not: the hits came in few, busy minutes."
        )
    return ""


def _worst(outcomes: list[State]) -> State:
    for state in (State.FAIL, State.INCONCLUSIVE):
        if state in outcomes:
            return state
    return State.PASS


def _largest(values: list[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return max(known) if len(known) == len(values) else None


def _wait(evidence: ShadowEvidence, limits: ShadowLimits, further: int | None) -> timedelta | None:
    """The time until the floors hold and `further` requests came, at the present traffic."""
    floor = max(timedelta(hours=limits.hours) - evidence.elapsed, timedelta(0))
    if further is None:
        return None
    if further == 0:
        return floor
    pace = evidence.requests_per_hour
    return max(floor, timedelta(hours=further / pace)) if pace else None


def _sentence(
    state: State,
    evidence: ShadowEvidence,
    limits: ShadowLimits,
    criteria: tuple[Criterion, ...],
    further: int | None,
    wait: timedelta | None,
) -> str:
    if state is State.PASS:
        return (
            f"passes: {count(evidence.requests)} requests in {duration(evidence.elapsed)}, "
            "all limits met"
        )
    if state is State.FAIL:
        failed = [each for each in criteria if each.outcome is State.FAIL]
        return "fails: " + "; ".join(f"{each.label.lower()}: {each.sentence}" for each in failed)
    return _need(evidence, limits, criteria, further, wait)


def _need(
    evidence: ShadowEvidence,
    limits: ShadowLimits,
    criteria: tuple[Criterion, ...],
    further: int | None,
    wait: timedelta | None,
) -> str:
    floor = max(timedelta(hours=limits.hours) - evidence.elapsed, timedelta(0))
    parts = [duration(floor)] if floor else []
    known = max(each.further_requests or 0 for each in criteria)
    if known:
        parts.append(f"{count(known)} more requests")
    stuck = [each.label.lower() for each in criteria if each.further_requests is None]
    sentence = "needs " + " and ".join(parts) if parts else "not yet certain"
    if stuck:
        return f"{sentence}; at the measured {' and '.join(stuck)} it will not pass"
    if not evidence.requests_per_hour and further:
        return f"{sentence}; no traffic at present"
    if wait is not None and wait > floor + timedelta(minutes=1):
        return f"{sentence}, about {duration(wait)} at the present traffic"
    return sentence
