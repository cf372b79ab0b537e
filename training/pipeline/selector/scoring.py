"""The selection score, and what past runs say."""

from __future__ import annotations

from collections.abc import Mapping

from training.pipeline.algorithms import Algorithm, find, suits
from training.pipeline.selector.state import (
    MINIMUM_RUNS,
    Constraints,
    Filtered,
    Histories,
    History,
    PastRuns,
    Ranking,
    Score,
)
from training.pipeline.types import Problem

HISTORY_WEIGHT = 0.40
LATENCY_WEIGHT = 0.20
MEMORY_WEIGHT = 0.15
INTERPRETABILITY_WEIGHT = 0.15
PREFERENCE_BONUS = 0.10
CAUSAL_BONUS = 0.10
CAUSAL_PENALTY = -0.15
SCALE_PENALTY = -0.10
LATENCY_LIMIT_MS = 200.0
MEMORY_LIMIT_GB = 16.0
LARGE_ROWS = 100_000
POOR_SCALABILITY = 0.5
SELECTION_SHARE = 0.6


def analyze_history(problem: Problem, past: Mapping[str, PastRuns]) -> Histories:
    """Success rate an algorithm: from past runs, or the prior where there are fewer than 3."""
    found: dict[str, History] = {}
    for name in suits(problem):
        prior = find(name).prior(problem)
        runs = past.get(name, PastRuns(0, 0))
        if runs.runs >= MINIMUM_RUNS:
            found[name] = History(runs.successes / runs.runs, runs.runs, "database")
        elif prior is not None:
            found[name] = History(prior, runs.runs, "prior")
    return Histories(found)


def filter_algorithms(problem: Problem, constraints: Constraints) -> Filtered:
    """Leave out what cannot solve the problem or breaks a constraint by its starting values.

    Latency and memory are judged when they are measured: starting values are not facts.
    """
    from training.pipeline.algorithms import ALGORITHMS

    excluded: dict[str, tuple[str, ...]] = {}
    for name in (*constraints.exclude, *constraints.preferred):
        find(name)
    for name, algorithm in ALGORITHMS.items():
        reasons = _reasons_against(algorithm, problem, constraints)
        if reasons:
            excluded[name] = reasons
    eligible = tuple(name for name in ALGORITHMS if name not in excluded)
    blocking = () if eligible else ("No algorithm meets the constraints.",)
    return Filtered(eligible, excluded, blocking)


def _reasons_against(
    algorithm: Algorithm, problem: Problem, constraints: Constraints
) -> tuple[str, ...]:
    least = constraints.minimum_interpretability
    checks = {
        f"It does not solve {problem.value} problems.": problem not in algorithm.problems,
        "It was excluded by the request.": algorithm.name in constraints.exclude,
        "It does not estimate causal effects.": constraints.causal_required
        and not algorithm.causal,
        f"Its interpretability {algorithm.interpretability:g} is under {least}.": least is not None
        and algorithm.interpretability < least,
    }
    return tuple(reason for reason, holds in checks.items() if holds)


def score(
    algorithm: Algorithm,
    history: float,
    *,
    latency_ms: float,
    memory_gb: float,
    rows: int,
    constraints: Constraints,
) -> Score:
    """.40·history + .20·speed + .15·size + .15·interpretability ± adjustments, clamped to 0..1."""
    parts = {
        "history": HISTORY_WEIGHT * history,
        "latency": LATENCY_WEIGHT * max(0.0, 1 - latency_ms / LATENCY_LIMIT_MS),
        "memory": MEMORY_WEIGHT * max(0.0, 1 - memory_gb / MEMORY_LIMIT_GB),
        "interpretability": INTERPRETABILITY_WEIGHT * algorithm.interpretability,
    }
    if algorithm.name in constraints.preferred:
        parts["preference"] = PREFERENCE_BONUS
    if algorithm.causal:
        parts["causal"] = CAUSAL_BONUS if constraints.causal_required else CAUSAL_PENALTY
    if rows > LARGE_ROWS and algorithm.scalability < POOR_SCALABILITY:
        parts["scalability"] = SCALE_PENALTY
    return Score(min(1.0, max(0.0, sum(parts.values()))), parts)


def rank(filtered: Filtered, histories: Histories, rows: int, constraints: Constraints) -> Ranking:
    """Score the eligible algorithms by history and starting values, best first."""
    scores: dict[str, Score] = {}
    for name in filtered.eligible:
        algorithm = find(name)
        scores[name] = score(
            algorithm,
            histories.by_algorithm[name].rate,
            latency_ms=algorithm.latency_ms,
            memory_gb=algorithm.memory_gb,
            rows=rows,
            constraints=constraints,
        )
    best_first = sorted(scores.items(), key=lambda item: (-item[1].value, item[0]))
    return Ranking(dict(best_first))


def combine(selection: float, benchmark: float) -> float:
    """.6·selection score + .4·benchmark score."""
    return SELECTION_SHARE * selection + (1 - SELECTION_SHARE) * benchmark
