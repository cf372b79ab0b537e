"""Two versions side by side: what was measured, and what differs. Pure: no queries, no writes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from registry.models import RegistryEntry
from training.models import SplitDefinition, TrainingRun

LOWER_IS_BETTER = frozenset(
    {"brier", "log_loss", "calibration_error", "fpr", "rmse", "mae", "mape", "mse"}
)
# Metrics whose best value is neither the highest nor the lowest.
IDEAL = {"calibration_slope": 1.0}
# Said of the data, not of the model's quality.
NEUTRAL = frozenset({"samples", "rows", "prevalence", "threshold", "support"})


@dataclass(frozen=True)
class Estimate:
    """A metric on the test split with its 95 % interval, where one was computed."""

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class MetricRow:
    """One metric of both versions. `delta` is candidate minus baseline.

    `better` is None where nothing can be said: not measured on both, equal, or no direction.
    `apart` is True when the two intervals do not overlap; None without both intervals.
    """

    name: str
    direction: str
    candidate: Estimate | None
    baseline: Estimate | None
    delta: float | None
    better: bool | None
    apart: bool | None

    @property
    def label(self) -> str:
        return metric_label(self.name)


@dataclass(frozen=True)
class Difference:
    """One named fact of both sides; None where a side does not have it."""

    name: str
    candidate: Any
    baseline: Any

    @property
    def changed(self) -> bool:
        return bool(self.candidate != self.baseline)


@dataclass(frozen=True)
class Comparison:
    """Everything a reviewer compares. `warnings` say why the metrics may not be comparable."""

    candidate: RegistryEntry
    baseline: RegistryEntry | None
    metrics: tuple[MetricRow, ...]
    facts: tuple[Difference, ...]
    parameters: tuple[Difference, ...]
    signature: tuple[Difference, ...]
    features: tuple[Difference, ...]
    warnings: tuple[str, ...]

    @property
    def better(self) -> int:
        return sum(row.better is True for row in self.metrics)

    @property
    def worse(self) -> int:
        return sum(row.better is False for row in self.metrics)

    @property
    def changes(self) -> int:
        """How many facts, parameters, columns and features differ."""
        groups = (self.facts, self.parameters, self.signature, self.features)
        return sum(row.changed for group in groups for row in group)


_LABELS = {
    "roc_auc": "ROC AUC",
    "roc_auc_ovr": "ROC AUC, one against the rest",
    "pr_auc": "PR AUC",
    "brier": "Brier score",
    "log_loss": "Log loss",
    "fpr": "False-positive rate",
    "precision_at_k": "Precision at k",
    "r2": "R²",
    "rmse": "RMSE",
    "mae": "MAE",
    "mape": "MAPE",
    "f1": "F1",
}


def metric_label(name: str) -> str:
    """The words for a metric: "roc_auc" gives "ROC AUC"."""
    return _LABELS.get(name, name.replace("_", " ").capitalize())


def compare(candidate: RegistryEntry, baseline: RegistryEntry | None) -> Comparison:
    """Both versions side by side. Their runs, data sets and splits must be loaded with them."""
    ours, theirs = candidate.training_run, baseline.training_run if baseline else None
    return Comparison(
        candidate=candidate,
        baseline=baseline,
        metrics=tuple(metric_rows(ours, theirs)),
        facts=_differences(_facts(candidate), _facts(baseline)),
        parameters=_differences(
            candidate.hyperparameters, baseline.hyperparameters if baseline else {}
        ),
        signature=_differences(_columns(candidate), _columns(baseline)),
        features=_feature_differences(ours, theirs),
        warnings=tuple(_warnings(ours, theirs)) if baseline else (),
    )


def metric_rows(ours: TrainingRun | None, theirs: TrainingRun | None) -> Iterable[MetricRow]:
    """One row a metric that either run has on its test split; the primary metric first."""
    mine, other = _estimates(ours), _estimates(theirs)
    primary = ours.primary_metric if ours else ""
    for name in sorted({*mine, *other}, key=lambda name: (name != primary, _order(name), name)):
        yield _metric_row(name, mine.get(name), other.get(name))


def _metric_row(name: str, mine: Estimate | None, other: Estimate | None) -> MetricRow:
    direction = _direction(name)
    both = mine is not None and other is not None
    delta = mine.value - other.value if mine and other else None
    better = _is_better(name, direction, mine.value, other.value) if mine and other else None
    apart = None
    if both and mine and other and None not in (mine.low, mine.high, other.low, other.high):
        apart = bool(mine.low > other.high or mine.high < other.low)  # type: ignore[operator]
    return MetricRow(name, direction, mine, other, delta, better, apart)


def _direction(name: str) -> str:
    if name in NEUTRAL:
        return ""
    if name in IDEAL:
        return "near"
    return "lower" if name in LOWER_IS_BETTER else "higher"


def _is_better(name: str, direction: str, mine: float, other: float) -> bool | None:
    if mine == other or not direction:
        return None
    if direction == "near":
        mine, other = -abs(mine - IDEAL[name]), -abs(other - IDEAL[name])
        return None if mine == other else mine > other
    return mine > other if direction == "higher" else mine < other


def _order(name: str) -> int:
    names = list(_LABELS)
    return names.index(name) if name in names else len(names)


def _estimates(run: TrainingRun | None) -> dict[str, Estimate]:
    if run is None:
        return {}
    intervals: Mapping[str, Any] = run.evaluation.get("intervals", {})
    return {
        name: Estimate(float(value), *_bounds(intervals.get(name)))
        for name, value in run.test_metrics.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }


def _bounds(interval: Any) -> tuple[float | None, float | None]:
    if not interval:
        return None, None
    if isinstance(interval, Mapping):
        return interval.get("low"), interval.get("high")
    return interval[0], interval[1]


def _facts(entry: RegistryEntry | None) -> dict[str, Any]:
    if entry is None:
        return {}
    run = entry.training_run
    dataset, split = (run.dataset if run else None), split_of(run)
    return {
        "Algorithm": entry.algorithm or None,
        "Framework": entry.framework or None,
        "Data set": f"{dataset.name} ({dataset.digest[:12]})" if dataset else None,
        "Training rows": entry.training_samples,
        "Test rows": run.test_samples if run else None,
        "Split": f"{split.get_strategy_display()}, seed {split.seed}" if split else None,
        "Decision threshold": run.threshold if run else None,
        "Features": entry.feature_count,
    }


def split_of(run: TrainingRun | None) -> SplitDefinition | None:
    """How the run's rows were split; None when it was not recorded."""
    split: SplitDefinition | None = getattr(run, "split", None)
    return split


def _columns(entry: RegistryEntry | None) -> dict[str, str]:
    """Inputs and outputs of the signature: {"income": "double", "→ output 1": "double"}."""
    if entry is None or not entry.signature:
        return {}
    columns = {}
    for place, prefix in (("inputs", ""), ("outputs", "→ ")):
        for number, column in enumerate(entry.signature.get(place) or (), start=1):
            name = column.get("name") or f"{place[:-1]} {number}"
            optional = "" if column.get("required", True) else ", optional"
            columns[f"{prefix}{name}"] = f"{_type(column)}{optional}"
    return columns


def _type(column: Mapping[str, Any]) -> str:
    spec = column.get("tensor-spec")
    if isinstance(spec, Mapping):
        shape = " × ".join("any" if size == -1 else str(size) for size in spec.get("shape", ()))
        return f"{spec.get('dtype', '?')} ({shape})"
    return str(column.get("type", "?"))


def _feature_differences(
    ours: TrainingRun | None, theirs: TrainingRun | None
) -> tuple[Difference, ...]:
    mine = dict.fromkeys(ours.feature_names if ours else (), "used")
    return _differences(mine, dict.fromkeys(theirs.feature_names if theirs else (), "used"))


def _differences(mine: Mapping[str, Any], other: Mapping[str, Any]) -> tuple[Difference, ...]:
    """All names of both, the candidate's order first."""
    names = list(dict.fromkeys((*mine, *other)))
    return tuple(Difference(name, mine.get(name), other.get(name)) for name in names)


def _warnings(ours: TrainingRun | None, theirs: TrainingRun | None) -> Iterable[str]:
    if ours is None or theirs is None:
        yield "One of the versions has no training run here, so its metrics cannot be compared."
        return
    if ours.dataset_id != theirs.dataset_id:
        yield (
            f"They were trained on different data: {_dataset(ours)} and {_dataset(theirs)}. "
            "The metrics are not from the same rows."
        )
        return
    mine, other = split_of(ours), split_of(theirs)
    if mine is None or other is None:
        yield "The split of one of them is not recorded: whether the test rows agree is unknown."
    elif mine.digests.get("test") != other.digests.get("test"):
        yield (
            f"Their test rows differ (seed {mine.seed} and {other.seed}): "
            "the metrics are not from the same rows."
        )


def _dataset(run: TrainingRun) -> str:
    return run.dataset.name if run.dataset else "unknown data"
