"""Data that pages of training gather across models."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import cast

from django.db.models import Count, F, IntegerField, Max, Min, OuterRef, QuerySet, Subquery, Value
from django.db.models.functions import Coalesce

from training import metrics
from training.choices import UNFINISHED_RUN, RunRole, RunSource, RunStatus
from training.models import Experiment, PipelineNode, Selection, TrainingRun
from training.steps import words

CRITERION_LABELS = {
    "minimum_auc": "ROC AUC",
    "minimum_pr_auc": "PR AUC",
    "minimum_precision_at_k": "Precision at k",
    "minimum_recall": "Recall",
    "maximum_fpr": "False-positive rate",
    "maximum_brier": "Brier score",
    "minimum_r2": "R²",
    "maximum_rmse": "RMSE",
}


@dataclass(frozen=True)
class Criterion:
    """A success criterion beside what a run measured on test; `met` is None when unmeasured."""

    label: str
    metric: str
    sign: str
    limit: float
    measured: metrics.Interval | None

    @property
    def met(self) -> bool | None:
        if self.measured is None:
            return None
        value = self.measured.value
        return value >= self.limit if self.sign == "≥" else value <= self.limit


@dataclass(frozen=True)
class ExperimentSummary:
    """An experiment with its best run: the one with the highest primary metric on validation."""

    experiment: Experiment
    best: TrainingRun | None
    criteria: tuple[Criterion, ...] = ()
    runs: int = 0
    unfinished: int = 0

    @property
    def verdict(self) -> str:
        """pass, fail or inconclusive; empty while there is no run or no criterion."""
        if self.best is None or not self.criteria:
            return ""
        found = [criterion.met for criterion in self.criteria]
        if False in found:
            return "fail"
        return "inconclusive" if None in found else "pass"

    @property
    def met(self) -> int:
        return sum(criterion.met is True for criterion in self.criteria)

    @property
    def verdict_words(self) -> str:
        return f"{self.met} of {len(self.criteria)} met"


# Columns that a list of runs never shows and that can be long.
_LONG = (
    "evaluation",
    "params",
    "tags",
    "hyperparameters",
    "feature_names",
    "error_message",
    "request",
    "datasets",
    "model_outputs",
)


def runs_for_list(
    runs: QuerySet[TrainingRun] | None = None, *, shown: Collection[str] = ()
) -> QuerySet[TrainingRun]:
    """`runs`, or those people look for, with what a row shows, without what it does not.

    `shown` names long columns that the list does show.
    """
    found = TrainingRun.objects.for_people() if runs is None else runs
    return found.select_related(
        "experiment", "mlflow_experiment", "created_by", "registry_entry"
    ).defer(
        *(name for name in _LONG if name not in shown),
        "mlflow_experiment__tags",
        "registry_entry__signature",
        "registry_entry__hyperparameters",
    )


def person(run: TrainingRun) -> str:
    """Who started it: our user, else the name that MLflow has; empty when nobody is known."""
    return run.created_by.get_username() if run.created_by else run.user_name


def experiment_name(run: TrainingRun) -> str:
    """E2I's experiment, else MLflow's; empty when there is none."""
    if run.experiment:
        return run.experiment.experiment_id
    return run.mlflow_experiment.name if run.mlflow_experiment else ""


def experiment_summaries(
    experiments: QuerySet[Experiment], *, limit: int | None = None
) -> list[ExperimentSummary]:
    """Experiments with counts and best runs, the most recently active first; two queries."""
    runs = TrainingRun.objects.for_people().filter(experiment=OuterRef("pk"))
    found = list(
        experiments.select_related("dataset")
        .annotate(
            best_run=Subquery(_best_first(runs).values("pk")[:1]),
            run_count=_count(runs),
            unfinished_count=_count(runs.filter(status__in=UNFINISHED_RUN)),
            last_activity=Coalesce(
                Subquery(
                    runs.order_by().values("experiment").annotate(m=Max("created_at")).values("m")
                ),
                F("created_at"),
            ),
        )
        .order_by("-last_activity")[:limit]
    )
    best = TrainingRun.objects.in_bulk([each.best_run for each in found if each.best_run])
    return [
        ExperimentSummary(
            experiment=each,
            best=(run := best.get(each.best_run)),
            criteria=judge_criteria(each, run),
            runs=each.run_count,
            unfinished=each.unfinished_count,
        )
        for each in found
    ]


def best_run(experiment: Experiment) -> TrainingRun | None:
    """The finished run with the highest primary metric on validation; None without one."""
    runs = TrainingRun.objects.for_people().filter(experiment=experiment)
    return _best_first(runs).first()


def _best_first(runs: QuerySet[TrainingRun]) -> QuerySet[TrainingRun]:
    return (
        runs.filter(role=RunRole.TRAINING, source=RunSource.E2I, status=RunStatus.FINISHED)
        .alias(quality=metrics.validation_primary())
        .filter(quality__isnull=False)
        .order_by("-quality", "-pk")
    )


def _count(runs: QuerySet[TrainingRun]) -> Coalesce:
    counted = runs.order_by().values("experiment").annotate(n=Count("pk")).values("n")
    return Coalesce(Subquery(counted), Value(0), output_field=IntegerField())


def judge_criteria(experiment: Experiment, run: TrainingRun | None) -> tuple[Criterion, ...]:
    """Each criterion that is set, with what `run` measured on its test split."""
    measured = metrics.estimates(run) if run else {}
    return tuple(
        Criterion(
            label=CRITERION_LABELS[name],
            metric=rule["metric"],
            sign="≥" if rule["direction"] == "min" else "≤",
            limit=rule["limit"],
            measured=measured.get(rule["metric"]),
        )
        for name, rule in experiment.success_criteria.items()
    )


def hidden_since(experiment: Experiment) -> datetime | None:
    """Since when MLflow has refused to show us any of the experiment's runs."""
    found = experiment.mlflow_experiments.aggregate(since=Min("hidden_since"))["since"]
    return cast("datetime | None", found)


def run_for_page(pk: int) -> QuerySet[TrainingRun]:
    """One run with everything its page shows of other tables, in one query."""
    return TrainingRun.objects.filter(pk=pk).select_related(
        "experiment",
        "dataset",
        "selection",
        "registry_entry",
        "parent",
        "mlflow_experiment",
        "job",
        "created_by",
        "data_quality",
        "split",
    )


@dataclass(frozen=True)
class Step:
    """A node of the stated order: what was recorded of it, or that it has not started."""

    name: str
    node: PipelineNode | None = None

    @property
    def state(self) -> str:
        return self.node.outcome if self.node else "waiting"

    @property
    def words(self) -> str:
        return words(self.name)


@dataclass(frozen=True)
class Attempt:
    """The nodes of one attempt. A killed worker's run is taken up again in another attempt."""

    number: int
    steps: tuple[Step, ...] = field(default=())

    @property
    def done(self) -> int:
        return sum(1 for step in self.steps if step.node and step.node.ended_at)


def attempts(
    nodes: Iterable[PipelineNode], order: Sequence[str], *, expects_more: bool
) -> list[Attempt]:
    """Nodes by attempt, the latest first; steps still to come are shown while more is expected."""
    grouped: dict[int, list[PipelineNode]] = {}
    for node in nodes:
        grouped.setdefault(node.attempt, []).append(node)
    found = [
        Attempt(number, tuple(Step(node.name, node) for node in mine))
        for number, mine in sorted(grouped.items(), reverse=True)
    ]
    if not expects_more:
        return found
    latest = found.pop(0) if found else Attempt(1)
    started = {step.name for step in latest.steps}
    coming = tuple(Step(name) for name in order if name not in started)
    return [Attempt(latest.number, latest.steps + coming), *found]


def selection_for_page(pk: int) -> QuerySet[Selection]:
    """One selection with what its page shows of other tables."""
    return Selection.objects.filter(pk=pk).select_related(
        "experiment", "dataset", "job", "created_by"
    )
