"""Writing a selection to MLflow: one parent run, one nested run a candidate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from e2i_site.mlflow_connector.naming import experiment_name
from training.pipeline.algorithms import find
from training.pipeline.data import Dataset
from training.pipeline.selector.benchmark import DUMMY
from training.pipeline.selector.state import (
    Baselines,
    Benchmarks,
    Choice,
    Histories,
    Measurement,
    Ranking,
    Rationale,
    Registered,
    SelectionRequest,
)
from training.pipeline.tracking import RunTracker, TrackedRun, log_data
from training.pipeline.types import PRIMARY_METRIC

AGENT = "model_selection"


@dataclass(frozen=True)
class Findings:
    """What is written."""

    data: Dataset
    request: SelectionRequest
    histories: Histories
    ranking: Ranking
    benchmarks: Benchmarks
    choice: Choice
    baselines: Baselines
    rationale: Rationale


def mlflow_experiment(request: SelectionRequest) -> str:
    """e2i_model_selection_{experiment_id}"""
    return experiment_name(AGENT, request.experiment_id)


def register(tracker: RunTracker, run: TrackedRun, found: Findings) -> Registered:
    """Log the parent's facts and a nested run for each candidate, baseline and dummy."""
    winner = found.choice.primary
    run.log_params(_parent_params(found))
    run.log_metrics(_numbers(found.benchmarks.by_algorithm[winner]))
    run.log_metrics(
        {"selection_score": found.choice.scores[winner].value}
        | {"combined_score": found.choice.combined[winner]}
    )
    run.set_tags({"selected_algorithm": winner, "framework": find(winner).framework})
    rationale = found.rationale.facts()
    run.log_dict(rationale, "rationale.json")
    run.log_dict(rationale["alternatives"], "alternatives.json")
    run.log_dict(found.histories.facts(), "history.json")
    log_data(run, found.data)
    journals, ids = {}, {}
    for measured in _measurements(found):
        nested = _log_candidate(tracker, run, found, measured)
        journals[measured.algorithm] = nested.journal_id
        ids[measured.algorithm] = nested.mlflow_run_id
    return Registered(run.journal_id, run.mlflow_run_id, ids, journals)


def _measurements(found: Findings) -> list[Measurement]:
    """The candidates, and the baseline and the dummy where they are not candidates too."""
    extra = {m.algorithm: m for m in (found.baselines.baseline, found.baselines.dummy)}
    return list({**extra, **found.benchmarks.by_algorithm}.values())


def _log_candidate(
    tracker: RunTracker, parent: TrackedRun, found: Findings, measured: Measurement
) -> TrackedRun:
    name = measured.algorithm
    tags = {
        "algorithm": name,
        "framework": "sklearn" if name == DUMMY else find(name).framework,
        "problem_type": found.data.problem.value,
        "experiment_id": found.request.experiment_id,
        "source": "e2i",
        "outcome": "failed" if measured.failed else "benchmarked",
        "role": "candidate" if name in found.benchmarks.by_algorithm else "baseline",
        **({"error": measured.error} if measured.error else {}),
    }
    with tracker.start_run(
        mlflow_experiment(found.request),
        run_name=name,
        tags=tags,
        parent=parent.journal_id,
        journal_id=f"{parent.journal_id}.{name}",
    ) as run:
        run.log_params(
            {"algorithm_name": name, "folds": found.request.folds, "seed": found.request.seed}
        )
        for step, value in enumerate(measured.fold_scores):
            run.log_metrics({f"fold_{PRIMARY_METRIC[found.data.problem]}": value}, step=step)
        numbers = _numbers(measured)
        if score := found.choice.scores.get(name) or found.ranking.scores.get(name):
            numbers["selection_score"] = score.value
        if name in found.choice.combined:
            numbers["combined_score"] = found.choice.combined[name]
        run.log_metrics(numbers)
        return run


def _parent_params(found: Findings) -> Mapping[str, Any]:
    request, limits = found.request, found.request.constraints.as_dict()
    return {
        "selected_algorithm": found.choice.primary,
        "problem_type": found.data.problem.value,
        "primary_metric": PRIMARY_METRIC[found.data.problem],
        "candidates": list(found.benchmarks.by_algorithm),
        "baseline": found.baselines.baseline.algorithm,
        "folds": request.folds,
        "seed": request.seed,
        "dataset_digest": found.data.digest,
        **{f"constraint_{name}": value for name, value in limits.items() if value},
    }


def _numbers(measured: Measurement) -> dict[str, float]:
    """The figures that were measured; the others are left out."""
    figures = {
        "benchmark_mean": measured.mean,
        "benchmark_std": measured.std,
        "benchmark_score": measured.score,
        "latency_ms": measured.latency_ms,
        "memory_gb": measured.memory_gb,
        "fit_seconds": measured.fit_seconds,
    }
    return {name: value for name, value in figures.items() if value is not None}
