"""Two versions side by side: what was measured, and what differs. Pure: no queries, no writes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from registry.models import RegistryEntry
from training import metrics
from training.metrics import Interval
from training.models import SplitDefinition, TrainingRun


@dataclass(frozen=True)
class MetricRow:
    """One metric of both versions. `delta` is candidate minus baseline.

    `better` is None where nothing can be said: not measured on both, equal, or no direction.
    `apart` is True when the two intervals do not overlap; None without both intervals.
    """

    name: str
    direction: str
    candidate: Interval | None
    baseline: Interval | None
    delta: float | None
    better: bool | None
    apart: bool | None

    @property
    def label(self) -> str:
        return metrics.label(self.name)

    @property
    def way(self) -> str:
        """Which way the delta would have to go to be an improvement; "" where unknown."""
        if self.better is None or self.delta is None:
            return ""
        return "higher" if (self.delta > 0) == self.better else "lower"

    @property
    def has_interval(self) -> bool:
        return self.candidate is not None and self.candidate.low is not None


@dataclass(frozen=True)
class Difference:
    """One named fact of both sides; None where a side does not have it."""

    name: str
    candidate: Any
    baseline: Any

    @property
    def changed(self) -> bool:
        return bool(self.candidate != self.baseline)

    @property
    def candidate_text(self) -> str | None:
        return _text(self.candidate)

    @property
    def baseline_text(self) -> str | None:
        return _text(self.baseline)


def _text(value: Any) -> str | None:
    """A value for people: numbers without the noise of binary fractions."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


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
    def groups(self) -> list[tuple[str, tuple[Difference, ...], bool]]:
        """Everything compared besides metrics: heading, rows, whether any of them differs."""
        named = {
            "Facts": self.facts,
            "Hyperparameters": self.parameters,
            "Signature": self.signature,
            "Features": self.features,
        }
        return [(n, rows, any(row.changed for row in rows)) for n, rows in named.items() if rows]

    @property
    def key_metrics(self) -> tuple[MetricRow, ...]:
        """Those with an interval, which say most; all of them where none has one."""
        return tuple(row for row in self.metrics if row.has_interval) or self.metrics

    @property
    def other_metrics(self) -> tuple[MetricRow, ...]:
        key = {row.name for row in self.key_metrics}
        return tuple(row for row in self.metrics if row.name not in key)

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
        signature=_differences(columns(candidate), columns(baseline)),
        features=_feature_differences(ours, theirs),
        warnings=tuple(_warnings(ours, theirs)) if baseline else (),
    )


def metric_rows(ours: TrainingRun | None, theirs: TrainingRun | None) -> Iterable[MetricRow]:
    """One row a metric that either run has on its test split; the primary metric first."""
    mine = metrics.estimates(ours) if ours else {}
    other = metrics.estimates(theirs) if theirs else {}
    primary = ours.primary_metric if ours else ""
    for name in sorted(metrics.in_order({*mine, *other}), key=lambda name: name != primary):
        yield _metric_row(name, mine.get(name), other.get(name))


def _metric_row(name: str, mine: Interval | None, other: Interval | None) -> MetricRow:
    way = metrics.direction(name)
    if mine is None or other is None:
        return MetricRow(name, way, mine, other, None, None, None)
    ours, theirs = metrics.goodness(name, mine.value), metrics.goodness(name, other.value)
    better = None if ours is None or theirs is None or ours == theirs else ours > theirs
    return MetricRow(name, way, mine, other, mine.value - other.value, better, _apart(mine, other))


def _apart(mine: Interval, other: Interval) -> bool | None:
    if mine.low is None or mine.high is None or other.low is None or other.high is None:
        return None
    return mine.low > other.high or mine.high < other.low


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


def columns(entry: RegistryEntry | None) -> dict[str, str]:
    """Inputs and outputs of the signature: {"income": "double", "→ output 1": "double"}."""
    if entry is None or not entry.signature:
        return {}
    found = {}
    for place, prefix in (("inputs", ""), ("outputs", "→ ")):
        for number, column in enumerate(entry.signature.get(place) or (), start=1):
            name = column.get("name") or f"{place[:-1]} {number}"
            optional = "" if column.get("required", True) else ", optional"
            found[f"{prefix}{name}"] = f"{_type(column)}{optional}"
    return found


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
