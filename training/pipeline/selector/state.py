"""What goes from node to node."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from training.pipeline.types import PRIMARY_METRIC, SEED, Json, Problem

# Below this many finished or failed runs an algorithm's history says too little.
MINIMUM_RUNS = 3


@dataclass(frozen=True)
class Constraints:
    """What an algorithm must keep to; None means no limit."""

    max_latency_ms: float | None = None
    max_memory_gb: float | None = None
    minimum_interpretability: float | None = None
    exclude: tuple[str, ...] = ()
    preferred: tuple[str, ...] = ()
    causal_required: bool = False

    def as_dict(self) -> dict[str, Json]:
        return {
            "max_latency_ms": self.max_latency_ms,
            "max_memory_gb": self.max_memory_gb,
            "minimum_interpretability": self.minimum_interpretability,
            "exclude": list(self.exclude),
            "preferred": list(self.preferred),
            "causal_required": self.causal_required,
        }


@dataclass(frozen=True)
class PastRuns:
    """Runs of one algorithm on one type of problem that ended, and how many succeeded."""

    runs: int
    successes: int


@dataclass(frozen=True)
class SelectionRequest:
    """`history`: past runs by algorithm on this type of problem, from the database."""

    experiment_id: str
    constraints: Constraints = field(default_factory=Constraints)
    history: Mapping[str, PastRuns] = field(default_factory=dict)
    top: int = 3
    folds: int = 5
    seed: int = SEED
    n_jobs: int = 1


@dataclass(frozen=True)
class History:
    """`rate` 0..1 and where it is from: "database" or "prior"."""

    rate: float
    runs: int
    source: str

    def as_dict(self) -> dict[str, Json]:
        return {"success_rate": self.rate, "runs": self.runs, "source": self.source}


@dataclass(frozen=True)
class Histories:
    by_algorithm: Mapping[str, History]
    blocking: tuple[str, ...] = ()

    def facts(self) -> dict[str, Json]:
        return {name: history.as_dict() for name, history in self.by_algorithm.items()}


@dataclass(frozen=True)
class Filtered:
    """Algorithms that may be used, and why the others may not."""

    eligible: tuple[str, ...]
    excluded: Mapping[str, tuple[str, ...]]
    blocking: tuple[str, ...] = ()

    def facts(self) -> dict[str, Json]:
        return {
            "eligible": list(self.eligible),
            "excluded": {name: list(reasons) for name, reasons in self.excluded.items()},
        }


@dataclass(frozen=True)
class Score:
    """Selection score 0..1 and the parts it is the clamped sum of."""

    value: float
    parts: Mapping[str, float]


@dataclass(frozen=True)
class Ranking:
    """Eligible algorithms, best first, with the scores known before the benchmark."""

    scores: Mapping[str, Score]
    blocking: tuple[str, ...] = ()

    def facts(self) -> dict[str, Json]:
        return {name: round(score.value, 4) for name, score in self.scores.items()}


@dataclass(frozen=True)
class Measurement:
    """Cross-validation of one algorithm. Unmeasured figures are None, `error` says why.

    `fold_scores` are values of the primary metric; `latency_ms` is the median for one row,
    `memory_gb` the size of the fitted pipeline when serialized.
    """

    algorithm: str
    fold_scores: tuple[float, ...] = ()
    fit_seconds: float | None = None
    latency_ms: float | None = None
    memory_gb: float | None = None
    error: str = ""

    @property
    def failed(self) -> bool:
        return bool(self.error)

    @property
    def mean(self) -> float | None:
        return math.fsum(self.fold_scores) / len(self.fold_scores) if self.fold_scores else None

    @property
    def std(self) -> float | None:
        """Population standard deviation over the folds."""
        mean = self.mean
        if mean is None:
            return None
        squares = math.fsum((score - mean) ** 2 for score in self.fold_scores)
        return math.sqrt(squares / len(self.fold_scores))

    @property
    def score(self) -> float | None:
        """Benchmark score: mean − ½·std, clamped to 0..1; higher is better for every metric."""
        if self.mean is None or self.std is None:
            return None
        return min(1.0, max(0.0, self.mean - 0.5 * self.std))


@dataclass(frozen=True)
class Benchmarks:
    by_algorithm: Mapping[str, Measurement]
    blocking: tuple[str, ...] = ()

    def facts(self) -> dict[str, Json]:
        return {
            name: measured.error or measured.mean for name, measured in self.by_algorithm.items()
        }


@dataclass(frozen=True)
class Choice:
    """The decision: scores with measured latency and memory, combined scores, who won."""

    primary: str
    scores: Mapping[str, Score]
    combined: Mapping[str, float]
    violations: Mapping[str, tuple[str, ...]]
    blocking: tuple[str, ...] = ()

    def facts(self) -> dict[str, Json]:
        return {
            "selected": self.primary,
            "combined": {name: round(value, 4) for name, value in self.combined.items()},
            "violations": {name: list(reasons) for name, reasons in self.violations.items()},
        }


@dataclass(frozen=True)
class Baselines:
    """A plain algorithm and a predictor that ignores the features, on the same folds."""

    baseline: Measurement
    dummy: Measurement
    gain_over_baseline: float | None
    gain_over_dummy: float | None
    blocking: tuple[str, ...] = ()

    def facts(self) -> dict[str, Json]:
        return {
            "baseline": self.baseline.algorithm,
            "baseline_mean": self.baseline.mean,
            "dummy_mean": self.dummy.mean,
            "gain_over_baseline": self.gain_over_baseline,
            "gain_over_dummy": self.gain_over_dummy,
            "errors": [m.error for m in (self.baseline, self.dummy) if m.error],
        }


@dataclass(frozen=True)
class Alternative:
    """An algorithm that was not chosen; `difference` is its combined score less the winner's."""

    algorithm: str
    difference: float | None
    reason: str


@dataclass(frozen=True)
class Rationale:
    primary_reason: str
    supporting: tuple[str, ...]
    alternatives: tuple[Alternative, ...]
    compliance: Mapping[str, str]
    blocking: tuple[str, ...] = ()

    def facts(self) -> dict[str, Json]:
        return {
            "primary_reason": self.primary_reason,
            "supporting_factors": list(self.supporting),
            "alternatives": [
                {"algorithm": a.algorithm, "score_difference": a.difference, "reason": a.reason}
                for a in self.alternatives
            ],
            "constraint_compliance": dict(self.compliance),
        }


@dataclass(frozen=True)
class Registered:
    """Where the tracker keeps the selection's runs; MLflow's ids are None while it is away."""

    journal_id: str
    run_id: str | None
    candidate_run_ids: Mapping[str, str | None]
    candidate_journal_ids: Mapping[str, str]
    blocking: tuple[str, ...] = ()

    def facts(self) -> dict[str, Json]:
        return {
            "mlflow_run_id": self.run_id,
            "journal_id": self.journal_id,
            "candidate_runs": dict(self.candidate_run_ids),
        }


@dataclass(frozen=True)
class SelectionResult:
    """Everything a selection found out, as far as it came; the rest is None.

    `blocked_by` names the node that ended it early.
    """

    problem: Problem
    histories: Histories | None = None
    filtered: Filtered | None = None
    ranking: Ranking | None = None
    benchmarks: Benchmarks | None = None
    choice: Choice | None = None
    baselines: Baselines | None = None
    rationale: Rationale | None = None
    registered: Registered | None = None
    blocked_by: str = ""
    reasons: tuple[str, ...] = ()

    @property
    def metric(self) -> str:
        return PRIMARY_METRIC[self.problem]


@dataclass(frozen=True)
class Summary:
    """What the last node says."""

    selected: str
    metric: str
    combined_score: float
    blocking: tuple[str, ...] = ()

    def facts(self) -> dict[str, Json]:
        return {
            "selected": self.selected,
            "metric": self.metric,
            "combined_score": self.combined_score,
        }
