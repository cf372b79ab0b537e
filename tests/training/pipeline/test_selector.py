from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from e2i_site.core.errors import InvalidInput
from training.pipeline import algorithms
from training.pipeline.algorithms import ALGORITHMS, Algorithm, find
from training.pipeline.data import Dataset
from training.pipeline.selector.benchmark import Bench, compare_baselines, run_benchmarks
from training.pipeline.selector.choose import choose
from training.pipeline.selector.rationale import explain
from training.pipeline.selector.scoring import (
    analyze_history,
    combine,
    filter_algorithms,
    rank,
    score,
)
from training.pipeline.selector.state import (
    Baselines,
    Benchmarks,
    Constraints,
    Filtered,
    Histories,
    History,
    Measurement,
    PastRuns,
    Ranking,
    SelectionRequest,
)
from training.pipeline.splits import split
from training.pipeline.steps import MemoryRecorder
from training.pipeline.types import Problem

FREE = Constraints()


@given(
    st.sampled_from(list(ALGORITHMS)),
    st.floats(0, 1),
    st.floats(0, 1e4),
    st.floats(0, 1e3),
    st.integers(1, 10**7),
    st.booleans(),
    st.booleans(),
)
def test_scores_stay_between_0_and_1(
    name: str, history: float, ms: float, gb: float, rows: int, liked: bool, causal: bool
) -> None:
    algorithm = replace(find(name), causal=causal, scalability=0.3)
    constraints = Constraints(preferred=(name,) if liked else (), causal_required=liked)
    found = score(
        algorithm, history, latency_ms=ms, memory_gb=gb, rows=rows, constraints=constraints
    )
    assert 0 <= found.value <= 1
    assert found.value == pytest.approx(min(1, max(0, sum(found.parts.values()))))


def test_the_score_is_the_stated_sum() -> None:
    found = score(find("LightGBM"), 0.76, latency_ms=15, memory_gb=1.5, rows=1000, constraints=FREE)
    expected = 0.4 * 0.76 + 0.2 * (1 - 15 / 200) + 0.15 * (1 - 1.5 / 16) + 0.15 * 0.6
    assert found.value == pytest.approx(expected)
    liked = Constraints(preferred=("LightGBM",))
    more = score(find("LightGBM"), 0.76, latency_ms=15, memory_gb=1.5, rows=1, constraints=liked)
    assert more.value == pytest.approx(expected + 0.10)


@given(st.floats(1, 150), st.floats(1, 40))
def test_slower_is_never_better(ms: float, more: float) -> None:
    def at(latency: float) -> float:
        return score(
            find("XGBoost"), 0.5, latency_ms=latency, memory_gb=1, rows=10, constraints=FREE
        ).value

    assert at(ms + more) < at(ms)


def test_history_counts_from_three_runs_and_says_which_was_used() -> None:
    past = {"XGBoost": PastRuns(3, 1), "LightGBM": PastRuns(2, 2)}
    found = analyze_history(Problem.BINARY, past).by_algorithm
    assert found["XGBoost"] == History(pytest.approx(1 / 3), 3, "database")
    assert found["LightGBM"] == History(0.76, 2, "prior")
    assert found["RandomForest"].source == "prior"
    assert "Ridge" not in found


def test_what_cannot_be_used_is_left_out_with_the_reason() -> None:
    constraints = Constraints(exclude=("XGBoost",), minimum_interpretability=0.55)
    found = filter_algorithms(Problem.BINARY, constraints)
    assert found.eligible == ("LightGBM", "LogisticRegression")
    assert "excluded" in found.excluded["XGBoost"][0]
    assert "0.5 is under 0.55" in found.excluded["RandomForest"][0]
    assert "regression" not in found.excluded["Ridge"][0]
    assert filter_algorithms(Problem.BINARY, Constraints(minimum_interpretability=2)).blocking
    with pytest.raises(InvalidInput, match="'Deep' is unknown"):
        filter_algorithms(Problem.BINARY, Constraints(exclude=("Deep",)))


def measured(name: str, *scores: float, ms: float | None = 1.0) -> Measurement:
    return Measurement(name, scores, fit_seconds=0.1, latency_ms=ms, memory_gb=0.001)


def test_the_benchmark_score_rewards_a_high_and_steady_mean() -> None:
    assert measured("a", 0.7, 0.9).score == pytest.approx(0.8 - 0.5 * 0.1)
    assert measured("a", -3.0, -4.0).score == 0.0
    assert Measurement("a", error="no").score is None


def histories(*names: str) -> Histories:
    return Histories({name: History(0.7, 0, "prior") for name in names})


def test_the_combined_score_decides_not_the_ranking() -> None:
    both = histories("LogisticRegression", "XGBoost")
    ranking = rank(
        filter_algorithms(Problem.BINARY, Constraints(exclude=("RandomForest", "LightGBM"))),
        both,
        1000,
        FREE,
    )
    assert next(iter(ranking.scores)) == "LogisticRegression"
    results = Benchmarks(
        {
            "LogisticRegression": measured("LogisticRegression", 0.55, 0.55),
            "XGBoost": measured("XGBoost", 0.95, 0.95),
        }
    )
    choice = choose(results, both, 1000, FREE)
    assert choice.primary == "XGBoost"
    for name, value in choice.combined.items():
        expected = combine(choice.scores[name].value, results.by_algorithm[name].score or 0)
        assert value == pytest.approx(expected)


def test_measured_figures_replace_the_starting_values() -> None:
    slow = Benchmarks({"XGBoost": measured("XGBoost", 0.9, 0.9, ms=199.0)})
    quick = Benchmarks({"XGBoost": measured("XGBoost", 0.9, 0.9, ms=1.0)})
    known = histories("XGBoost")
    difference = (
        choose(quick, known, 10, FREE).scores["XGBoost"].value
        - choose(slow, known, 10, FREE).scores["XGBoost"].value
    )
    assert difference == pytest.approx(0.2 * 198 / 200)


def test_limits_hold_for_what_was_measured_and_unknown_does_not_comply() -> None:
    limit = Constraints(max_latency_ms=5)
    known = histories("XGBoost", "LightGBM", "RandomForest")
    results = Benchmarks(
        {
            "XGBoost": measured("XGBoost", 0.99, 0.99, ms=9.0),
            "LightGBM": measured("LightGBM", 0.7, 0.7, ms=2.0),
            "RandomForest": measured("RandomForest", 0.99, 0.99, ms=None),
        }
    )
    choice = choose(results, known, 10, limit)
    assert choice.primary == "LightGBM"
    assert set(choice.violations) == {"XGBoost", "RandomForest"}
    better = choice.combined["XGBoost"]
    assert better > choice.combined["LightGBM"]
    nothing = Measurement("Dummy", error="not measured")
    why = explain(
        choice=choice,
        benchmarks=results,
        baselines=Baselines(nothing, nothing, None, None),
        histories=known,
        filtered=Filtered(tuple(known.by_algorithm), {}),
        ranking=Ranking({}),
        constraints=limit,
        metric="roc_auc",
    )
    assert "the highest combined score of those within the limits" in why.primary_reason
    only = choose(Benchmarks({"XGBoost": results.by_algorithm["XGBoost"]}), known, 10, limit)
    assert only.primary == ""
    assert only.blocking


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> None:
    """XGBoost cannot be built."""

    def build(*_: object) -> object:
        raise RuntimeError("no such library")

    changed: Mapping[str, Algorithm] = {
        **ALGORITHMS,
        "XGBoost": replace(ALGORITHMS["XGBoost"], build=build),
    }
    monkeypatch.setattr(algorithms, "ALGORITHMS", changed)


def select(data: Dataset, constraints: Constraints = FREE, top: int = 3) -> object:
    request = SelectionRequest("exp", constraints=constraints, top=top, folds=3)
    bench = Bench(data, split(data), request)
    known = analyze_history(data.problem, {})
    filtered = filter_algorithms(data.problem, constraints)
    ranking = rank(filtered, known, len(data), constraints)
    results = run_benchmarks(bench, ranking, MemoryRecorder())
    choice = choose(results, known, len(data), constraints)
    if choice.blocking or results.blocking:
        return results
    baselines = compare_baselines(bench, choice)
    rationale = explain(
        choice=choice,
        benchmarks=results,
        baselines=baselines,
        histories=known,
        filtered=filtered,
        ranking=ranking,
        constraints=constraints,
        metric="roc_auc",
    )
    return results, choice, baselines, rationale


def test_a_candidate_that_fails_is_failed_not_scored(cancer: Dataset, broken: None) -> None:
    results, choice, _, rationale = select(cancer)
    failed = results.by_algorithm["XGBoost"]
    assert failed.error == "RuntimeError: no such library"
    assert failed.score is None and failed.mean is None
    assert "XGBoost" not in choice.combined
    why = {a.algorithm: a.reason for a in rationale.alternatives}
    assert "no such library" in why["XGBoost"]


def test_when_every_candidate_fails_the_selection_is_blocked(cancer: Dataset, broken: None) -> None:
    rest = tuple(name for name in ALGORITHMS if name != "XGBoost")
    results = select(cancer, Constraints(exclude=rest))
    assert results.blocking == ("XGBoost failed: RuntimeError: no such library",)


def test_regression_prefers_the_smaller_error_and_beats_the_dummy(numbers: Dataset) -> None:
    results, choice, baselines, rationale = select(numbers, top=6)
    assert all(m.score is not None and 0 < m.score < 1 for m in results.by_algorithm.values())
    assert baselines.baseline.algorithm == "Ridge"
    assert baselines.dummy.mean == pytest.approx(0, abs=0.1)
    assert baselines.gain_over_dummy > 0.5
    assert choice.primary in rationale.primary_reason
    assert {a.algorithm for a in rationale.alternatives} | {choice.primary} == set(ALGORITHMS)
