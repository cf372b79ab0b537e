"""Candidate rows of a selection."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from training.choices import CandidateOutcome, CandidateRole
from training.models import Candidate, Selection
from training.pipeline.algorithms import find
from training.pipeline.selector.state import Measurement, SelectionResult

DUMMY = "Dummy"


def store_candidates(selection: Selection, result: SelectionResult) -> None:
    """Store what is known of every algorithm so far; scores not measured stay null."""
    for role, algorithm, facts in _rows(result):
        Candidate.objects.update_or_create(
            selection=selection, role=role, algorithm=algorithm, defaults=facts
        )


def _rows(result: SelectionResult) -> Iterator[tuple[str, str, dict[str, Any]]]:
    if result.filtered is not None:
        for name, reasons in result.filtered.excluded.items():
            excluded = {"outcome": CandidateOutcome.EXCLUDED, "reasons": list(reasons)}
            yield CandidateRole.CANDIDATE, name, {"framework": find(name).framework, **excluded}
    if result.ranking is not None:
        for rank, name in enumerate(result.ranking.scores, start=1):
            yield CandidateRole.CANDIDATE, name, _candidate(result, name, rank)
    if result.baselines is not None:
        for role, measured in (
            (CandidateRole.BASELINE, result.baselines.baseline),
            (CandidateRole.DUMMY, result.baselines.dummy),
        ):
            yield role, measured.algorithm, _baseline(measured)


def _candidate(result: SelectionResult, name: str, rank: int) -> dict[str, Any]:
    assert result.ranking is not None
    measured = result.benchmarks.by_algorithm.get(name) if result.benchmarks else None
    choice = result.choice
    score = result.ranking.scores[name]
    facts: dict[str, Any] = {
        "framework": find(name).framework,
        "outcome": CandidateOutcome.RANKED,
        "reasons": [],
        "rank": rank,
    }
    if measured is not None:
        facts |= _figures(measured)
    if choice is not None:
        score = choice.scores.get(name, score)
        facts["combined_score"] = choice.combined.get(name)
        if broken := choice.violations.get(name):
            facts["outcome"] = CandidateOutcome.EXCLUDED
            facts["reasons"] = list(broken)
        if choice.primary == name:
            facts["outcome"] = CandidateOutcome.SELECTED
    return {**facts, "selection_score": score.value, "score_parts": dict(score.parts)}


def _baseline(measured: Measurement) -> dict[str, Any]:
    framework = "sklearn" if measured.algorithm == DUMMY else find(measured.algorithm).framework
    return {"framework": framework, **_figures(measured)}


def _figures(measured: Measurement) -> dict[str, Any]:
    return {
        "outcome": CandidateOutcome.FAILED if measured.failed else CandidateOutcome.BENCHMARKED,
        "reasons": [measured.error] if measured.failed else [],
        "benchmark_mean": measured.mean,
        "benchmark_std": measured.std,
        "benchmark_score": measured.score,
        "fold_scores": list(measured.fold_scores),
        "latency_ms": measured.latency_ms,
        "memory_gb": measured.memory_gb,
        "fit_seconds": measured.fit_seconds,
    }
