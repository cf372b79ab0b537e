"""What a run found out, ready to be shown: metrics by split, curves, trials, importance."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from e2i_site.core.charts import LineChart, Series
from training import metrics
from training.choices import TrialState
from training.models import TrainingRun, Trial

MOST_FEATURES = 20


@dataclass(frozen=True)
class MetricRow:
    """One metric on each split; the test split's has an interval."""

    name: str
    label: str
    direction: str
    primary: bool
    train: float | None
    validation: float | None
    test: metrics.Interval | None


def metric_rows(run: TrainingRun) -> list[MetricRow]:
    """Every metric E2I measured, the primary one first."""
    train, validation = metrics.numbers(run.train_metrics), metrics.numbers(run.validation_metrics)
    test = metrics.estimates(run)
    names = metrics.in_order([*train, *validation, *test])
    return [
        MetricRow(
            name=name,
            label=metrics.label(name),
            direction=metrics.direction(name),
            primary=name == run.primary_metric,
            train=train.get(name),
            validation=validation.get(name),
            test=test.get(name),
        )
        for name in sorted(names, key=lambda name: name != run.primary_metric)
    ]


def mirrored_metrics(run: TrainingRun) -> list[tuple[str, str, float]]:
    """(name, label, value) of what others logged to MLflow."""
    found = metrics.numbers(run.metrics)
    return [(name, metrics.label(name), found[name]) for name in metrics.in_order(found)]


@dataclass(frozen=True)
class Curves:
    """Points of the plots on the test split; empty where the run has no such curve."""

    fpr: Sequence[float] = ()
    tpr: Sequence[float] = ()
    recall: Sequence[float] = ()
    precision: Sequence[float] = ()
    predicted: Sequence[float] = ()
    observed: Sequence[float] = ()
    bin_rows: Sequence[int] = ()
    confusion: Sequence[Sequence[int]] = ()
    residuals: Sequence[Sequence[float]] = ()
    classes: Sequence[str] = ()

    @property
    def roc_table(self) -> list[tuple[float, float]]:
        return thinned(list(zip(self.fpr, self.tpr, strict=True)))

    @property
    def pr_table(self) -> list[tuple[float, float]]:
        return thinned(list(zip(self.recall, self.precision, strict=True)))

    @property
    def bins(self) -> list[tuple[float, float, int]]:
        return list(zip(self.predicted, self.observed, self.bin_rows, strict=True))

    @property
    def residual_table(self) -> list[Any]:
        return thinned(sorted(self.residuals), most=51)

    @property
    def base_rate(self) -> float | None:
        """Share of positives on test: what a guess would reach in precision."""
        rows = sum(sum(row) for row in self.confusion)
        return sum(self.confusion[1]) / rows if len(self.confusion) == 2 and rows else None

    @property
    def confusion_rows(self) -> list[tuple[str, Sequence[int], str]]:
        """(true class, decided counts, share decided rightly in words)."""
        return [
            (name, row, f"{row[number] / sum(row):.1%}" if sum(row) else "–")
            for number, (name, row) in enumerate(zip(self.classes, self.confusion, strict=False))
        ]


def curves(run: TrainingRun) -> Curves:
    """The curves stored with the run."""
    stored: Mapping[str, Any] = run.evaluation.get("curves") or {}
    roc, pr = stored.get("roc") or (), stored.get("pr") or ()
    calibration = stored.get("calibration") or ()
    confusion = stored.get("confusion") or ()
    names = [str(name) for name in run.evaluation.get("classes") or ()]
    return Curves(
        fpr=[point[0] for point in roc],
        tpr=[point[1] for point in roc],
        recall=[point[0] for point in pr],
        precision=[point[1] for point in pr],
        predicted=[point[0] for point in calibration],
        observed=[point[1] for point in calibration],
        bin_rows=[point[2] for point in calibration],
        confusion=confusion,
        residuals=stored.get("residuals") or (),
        classes=names if len(names) == len(confusion) else [str(n) for n in range(len(confusion))],
    )


def thinned(points: list[Any], most: int = 21) -> list[Any]:
    """At most `most` points, evenly spaced, both ends kept: a table that can be read."""
    if len(points) <= most:
        return points
    step = (len(points) - 1) / (most - 1)
    return [points[round(number * step)] for number in range(most)]


def importance(run: TrainingRun) -> list[tuple[str, float]]:
    """(feature, loss of the primary metric on validation when shuffled), the largest first."""
    found = metrics.numbers(run.evaluation.get("importance") or {})
    return sorted(found.items(), key=lambda item: -item[1])


def hpo_chart(trials: Sequence[Trial], metric: str) -> LineChart | None:
    """Each complete trial's value and the best so far; None before the first complete one."""
    complete = [trial for trial in trials if trial.value is not None]
    if not complete:
        return None
    values = [float(trial.value) for trial in complete if trial.value is not None]
    best: list[float] = list(accumulate(values, max))
    return LineChart(
        title=f"{metrics.label(metric) if metric else 'Value'} by trial",
        x=[trial.number for trial in complete],
        series=[Series("This trial", values), Series("Best so far", best)],
        x_label="Trial",
        note="mean over the folds of the training split",
        name="hpo-history",
    )


@dataclass(frozen=True)
class TrialSummary:
    """How the trials of a run ended, and the best of them."""

    trials: Sequence[Trial]
    best: Trial | None
    names: Sequence[str]

    def count(self, state: str) -> int:
        return sum(trial.state == state for trial in self.trials)

    @property
    def complete(self) -> int:
        return self.count(TrialState.COMPLETE)

    @property
    def pruned(self) -> int:
        return self.count(TrialState.PRUNED)

    @property
    def failed(self) -> int:
        return self.count(TrialState.FAILED)

    @property
    def values(self) -> list[float]:
        """Values of the complete trials, in order."""
        return [trial.value for trial in self.trials if trial.value is not None]

    @property
    def best_value(self) -> float | None:
        return max(self.values, default=None)

    @property
    def rows(self) -> list[tuple[Trial, list[str]]]:
        """Trials with their parameters in the order of `names`."""
        return [
            (trial, [shown(trial.params.get(name)) for name in self.names]) for trial in self.trials
        ]


def parameters(run: TrainingRun) -> list[tuple[str, str]]:
    """Hyperparameters as E2I recorded them, else what MLflow has."""
    found = run.hyperparameters or run.params
    return [(name, shown(value)) for name, value in sorted(found.items())]


def shown(value: Any) -> str:
    """A parameter for people: floats with six digits, groups as JSON, a dash for none."""
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.6g}"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def trial_summary(trials: Iterable[Trial]) -> TrialSummary:
    """Trials in order of their numbers."""
    found = sorted(trials, key=lambda trial: trial.number)
    names = dict.fromkeys(name for trial in found for name in trial.params)
    return TrialSummary(found, next((t for t in found if t.is_best), None), list(names))
