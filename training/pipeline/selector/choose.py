"""The decision: measured figures against the constraints, then the combined score."""

from __future__ import annotations

from training.pipeline.algorithms import find
from training.pipeline.selector.scoring import combine, score
from training.pipeline.selector.state import (
    Benchmarks,
    Choice,
    Constraints,
    Histories,
    Measurement,
    Score,
)


def choose(
    benchmarks: Benchmarks, histories: Histories, rows: int, constraints: Constraints
) -> Choice:
    """The measured algorithm with the highest combined score that breaks no constraint."""
    scores: dict[str, Score] = {}
    combined: dict[str, float] = {}
    violations: dict[str, tuple[str, ...]] = {}
    for name, measured in benchmarks.by_algorithm.items():
        if measured.failed or measured.score is None:
            continue
        if measured.latency_ms is None or measured.memory_gb is None:
            violations[name] = ("Its latency and memory are not known.",)
            continue
        scores[name] = score(
            find(name),
            histories.by_algorithm[name].rate,
            latency_ms=measured.latency_ms,
            memory_gb=measured.memory_gb,
            rows=rows,
            constraints=constraints,
        )
        combined[name] = combine(scores[name].value, measured.score)
        if broken := broken_limits(measured, constraints):
            violations[name] = broken
    allowed = [name for name in combined if name not in violations]
    if not allowed:
        reasons = [f"{name}: {' '.join(why)}" for name, why in violations.items()]
        return Choice("", scores, combined, violations, blocking=tuple(reasons))
    best = min(allowed, key=lambda name: (-combined[name], name))
    return Choice(best, scores, combined, violations)


def broken_limits(measured: Measurement, constraints: Constraints) -> tuple[str, ...]:
    """Limits that the measured figures break; an unknown figure breaks its limit."""
    reasons = []
    limits = (
        ("latency", measured.latency_ms, constraints.max_latency_ms, "ms"),
        ("memory", measured.memory_gb, constraints.max_memory_gb, "GB"),
    )
    for what, value, limit, unit in limits:
        if limit is None:
            continue
        if value is None:
            reasons.append(f"Its {what} is not known; the limit is {limit:g} {unit}.")
        elif value > limit:
            reasons.append(f"Its {what} of {value:.3g} {unit} is over the limit, {limit:g} {unit}.")
    return tuple(reasons)
