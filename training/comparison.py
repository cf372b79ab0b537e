"""Several runs side by side: what was measured, and what differs. Pure: no queries, no writes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from training import metrics
from training.models import SplitDefinition, TrainingRun

MOST_RUNS = 10
# Splits that the model or its threshold was fitted to: no evidence of how good it is.
LEARNED_FROM = ("train", "validation")


@dataclass(frozen=True)
class Cell:
    """One run's value in a row. `better` compares it with the baseline's; None says nothing."""

    value: Any
    better: bool | None = None
    delta: float | None = None
    low: float | None = None
    high: float | None = None
    best: bool = False

    @property
    def change(self) -> str:
        """The difference from the baseline, with its sign."""
        return "" if self.delta is None else f"{self.delta:+.4f}".replace("-", "−")

    @property
    def number(self) -> str:
        """A metric for people, with as many places as its neighbours."""
        return f"{self.value:,.4f}"

    @property
    def words(self) -> str:
        """A fact or parameter for people."""
        if isinstance(self.value, float):
            return f"{self.value:.6g}"
        if isinstance(self.value, bool) or not isinstance(self.value, int):
            return self.value if isinstance(self.value, str) else json.dumps(self.value)
        return f"{self.value:,}"


@dataclass(frozen=True)
class Row:
    """One named thing of every run, in the order of the runs."""

    name: str
    label: str
    cells: tuple[Cell, ...]
    direction: str = ""
    is_number: bool = False

    @property
    def differs(self) -> bool:
        return any(cell.value != self.cells[0].value for cell in self.cells)


@dataclass(frozen=True)
class Comparison:
    """Runs beside a baseline. `warnings` say why the metrics may not be comparable."""

    runs: tuple[TrainingRun, ...]
    baseline: TrainingRun
    metrics: tuple[Row, ...]
    other_metrics: tuple[Row, ...]
    facts: tuple[Row, ...]
    parameters: tuple[Row, ...]
    warnings: tuple[str, ...]

    @property
    def groups(self) -> list[tuple[str, tuple[Row, ...], bool]]:
        """(title, rows, whether any of them differs) of each part of the table."""
        parts = (
            ("Metrics on test" if self.other_metrics else "Metrics", self.metrics),
            ("Run", self.facts),
            ("Parameters", self.parameters),
            ("Metrics on validation and training rows", self.other_metrics),
        )
        return [(title, rows, any(row.differs for row in rows)) for title, rows in parts if rows]

    @property
    def hidden(self) -> int:
        """How many rows hold the same for all runs."""
        return sum(not row.differs for _, rows, _ in self.groups for row in rows)


def compare(runs: Sequence[TrainingRun], baseline: TrainingRun) -> Comparison:
    """The runs side by side, baseline first. Data sets, experiments and splits must be loaded."""
    ordered = (baseline, *(run for run in runs if run.pk != baseline.pk))
    rows = tuple(_metric_rows(ordered))
    learned = tuple(row for row in rows if metrics.split_name(row.name)[0] in LEARNED_FROM)
    return Comparison(
        runs=ordered,
        baseline=baseline,
        metrics=tuple(row for row in rows if row not in learned),
        other_metrics=learned,
        facts=_rows(ordered, _facts),
        parameters=_rows(ordered, _parameters),
        warnings=tuple(_warnings(ordered)),
    )


def _metric_rows(runs: Sequence[TrainingRun]) -> Iterable[Row]:
    """Every metric that a run has; those of the test split with their intervals."""
    values = [metrics.values(run) for run in runs]
    intervals = [metrics.estimates(run) for run in runs]
    bounds_of_others = {
        f"test_{metric}_{bound}"
        for each in intervals
        for metric, interval in each.items()
        if interval.low is not None
        for bound in ("low", "high")
    }
    for name in metrics.in_order(name for each in values for name in each):
        if name in bounds_of_others:
            continue
        split, metric = metrics.split_name(name)
        bounds = [each.get(metric) if split == "test" else None for each in intervals]
        found = [each.get(name) for each in values]
        cells = tuple(
            _metric_cell(name, value, bound, found)
            for value, bound in zip(found, bounds, strict=True)
        )
        yield Row(name, metrics.label(name), cells, metrics.direction(name), is_number=True)


def _metric_cell(
    name: str,
    value: float | None,
    bound: metrics.Interval | None,
    all_values: Sequence[float | None],
) -> Cell:
    baseline = all_values[0]
    if value is None:
        return Cell(None)
    known = [
        good for each in all_values if each is not None if (good := _good(name, each)) is not None
    ]
    mine, base = _good(name, value), None if baseline is None else _good(name, baseline)
    better = None if mine is None or base is None or mine == base else mine > base
    return Cell(
        value,
        better=better,
        delta=None if baseline is None else value - baseline,
        low=bound.low if bound else None,
        high=bound.high if bound else None,
        best=mine is not None and len(set(known)) > 1 and mine == max(known),
    )


_good = metrics.goodness


def _rows(
    runs: Sequence[TrainingRun], read: Callable[[TrainingRun], dict[str, Any]]
) -> tuple[Row, ...]:
    found = [read(run) for run in runs]
    names = dict.fromkeys(name for each in found for name in each)
    return tuple(Row(name, name, tuple(Cell(each.get(name)) for each in found)) for name in names)


def _parameters(run: TrainingRun) -> dict[str, Any]:
    """Hyperparameters as E2I recorded them, else what MLflow has."""
    return dict(run.hyperparameters or run.params)


def _facts(run: TrainingRun) -> dict[str, Any]:
    split = split_of(run)
    return {
        "Experiment": run.experiment.experiment_id if run.experiment else None,
        "Data set": dataset_name(run),
        "Split": f"{split.get_strategy_display()}, seed {split.seed}" if split else None,
        "Test rows": run.test_samples,
        "Training rows": run.training_samples,
        "Features": len(run.feature_names) or None,
        "Algorithm": run.algorithm or None,
        "Framework": run.framework or None,
        "Decision threshold": run.threshold,
        "Status": run.get_status_display(),
        "Duration, s": run.duration_seconds,
    }


def split_of(run: TrainingRun) -> SplitDefinition | None:
    """How the run's rows were split; None when it was not recorded."""
    split: SplitDefinition | None = getattr(run, "split", None)
    return split


def dataset_name(run: TrainingRun) -> str | None:
    """Name and digest of the run's data; None when it is unknown here."""
    return f"{run.dataset.name} ({run.dataset.digest[:12]})" if run.dataset else None


def _warnings(runs: Sequence[TrainingRun]) -> Iterable[str]:
    digests = {run.dataset.digest if run.dataset else "" for run in runs}
    if digests == {""}:
        yield "Which data these runs used is not recorded: whether their metrics agree is unknown."
    elif "" in digests:
        yield "Which data some of these runs used is not recorded."
    if len(digests - {""}) > 1:
        names = sorted({str(dataset_name(run)) for run in runs if run.dataset})
        yield (
            f"They were trained on different data: {', '.join(names)}. "
            "The metrics are not from the same rows."
        )
        return
    splits = [split_of(run) for run in runs]
    known = [split for split in splits if split]
    if len({split.seed for split in known}) > 1:
        seeds = ", ".join(str(seed) for seed in sorted({split.seed for split in known}))
        yield f"They were split with different seeds ({seeds}): the test rows differ."
    elif len({split.digests.get("test") for split in known}) > 1:
        yield "Their test rows differ: the metrics are not from the same rows."
    if known and len(known) < len(splits):
        yield "The split of some of them is not recorded: whether the test rows agree is unknown."
