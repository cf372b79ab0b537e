"""Why this algorithm: sentences made of measured facts."""

from __future__ import annotations

from collections.abc import Iterator

from training.pipeline.algorithms import find
from training.pipeline.selector.state import (
    Alternative,
    Baselines,
    Benchmarks,
    Choice,
    Constraints,
    Filtered,
    Histories,
    Ranking,
    Rationale,
)


def explain(
    *,
    choice: Choice,
    benchmarks: Benchmarks,
    baselines: Baselines,
    histories: Histories,
    filtered: Filtered,
    ranking: Ranking,
    constraints: Constraints,
    metric: str,
) -> Rationale:
    """Primary reason, supporting factors, alternatives and how each constraint was met."""
    winner = benchmarks.by_algorithm[choice.primary]
    which = " of those within the limits" if choice.violations else ""
    reason = (
        f"{choice.primary} has the highest combined score{which}, "
        f"{choice.combined[choice.primary]:.3f}: "
        f"selection {choice.scores[choice.primary].value:.3f}, benchmark {winner.score:.3f} "
        f"({metric} {winner.mean:.3f} ± {winner.std:.3f} over {len(winner.fold_scores)} folds)."
    )
    return Rationale(
        primary_reason=reason,
        supporting=tuple(_supporting(choice, benchmarks, baselines, histories, metric)),
        alternatives=tuple(_alternatives(choice, benchmarks, filtered, ranking)),
        compliance=_compliance(choice, benchmarks, constraints),
    )


def _supporting(
    choice: Choice,
    benchmarks: Benchmarks,
    baselines: Baselines,
    histories: Histories,
    metric: str,
) -> Iterator[str]:
    name = choice.primary
    measured = benchmarks.by_algorithm[name]
    history = histories.by_algorithm[name]
    if history.source == "database":
        yield f"{history.rate:.0%} of {history.runs} past runs of it succeeded."
    else:
        yield f"Prior success rate {history.rate:.2f}; only {history.runs} past runs of it."
    yield f"One prediction took {measured.latency_ms:.2f} ms in the benchmark."
    if baselines.gain_over_baseline is not None and baselines.baseline.algorithm != name:
        gain, other = baselines.gain_over_baseline, baselines.baseline.algorithm
        word = "above" if gain > 0 else "below"
        yield f"Its {metric} is {abs(gain):.3f} {word} that of the baseline, {other}."
    if baselines.gain_over_dummy is not None:
        gain = baselines.gain_over_dummy
        word = "above" if gain > 0 else "below"
        yield f"Its {metric} is {abs(gain):.3f} {word} that of a predictor without features."


def _alternatives(
    choice: Choice, benchmarks: Benchmarks, filtered: Filtered, ranking: Ranking
) -> Iterator[Alternative]:
    best = choice.combined[choice.primary]
    for name, value in sorted(choice.combined.items(), key=lambda item: -item[1]):
        if name == choice.primary:
            continue
        broken = choice.violations.get(name)
        reason = " ".join(broken) if broken else "Its combined score is lower."
        yield Alternative(name, value - best, reason)
    for name, measured in benchmarks.by_algorithm.items():
        if measured.failed:
            yield Alternative(name, None, f"Its benchmark failed: {measured.error}")
    for name in ranking.scores:
        if name not in benchmarks.by_algorithm:
            yield Alternative(name, None, "Its selection score was too low for the benchmark.")
    for name, reasons in filtered.excluded.items():
        yield Alternative(name, None, " ".join(reasons))


def _compliance(choice: Choice, benchmarks: Benchmarks, limits: Constraints) -> dict[str, str]:
    measured = benchmarks.by_algorithm[choice.primary]
    found: dict[str, str] = {"problem type": "met"}
    for what, value, limit in (
        ("latency", measured.latency_ms, limits.max_latency_ms),
        ("memory", measured.memory_gb, limits.max_memory_gb),
    ):
        if limit is not None:
            found[what] = f"met: {value:.3g}, limit {limit:g}"
    if limits.minimum_interpretability is not None:
        value = find(choice.primary).interpretability
        found["interpretability"] = f"met: {value:g}, least {limits.minimum_interpretability:g}"
    if limits.exclude:
        found["exclusions"] = "met"
    return found
