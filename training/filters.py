"""Filters of training, shared by the pages and the API, and the words people type for them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import django_filters
from django import forms
from django.core.exceptions import ValidationError
from django.db.models import F, Q, QuerySet

from training import metrics
from training.choices import ProblemType, RunRole, RunSource, RunStatus
from training.models import Experiment, Selection, TrainingRun

# A condition on a metric: test_roc_auc >= 0.8
_CONDITION = re.compile(
    r"^\s*(?P<name>[\w./@ -]{1,250}?)\s*(?P<op>>=|<=|>|<|=)\s*(?P<value>\S+)\s*$"
)
_LOOKUPS = {">=": "gte", "<=": "lte", ">": "gt", "<": "lt", "=": "exact"}
_METRIC_NAME = re.compile(r"^[\w./@ -]{1,250}$")


@dataclass(frozen=True)
class Condition:
    """A limit on a metric, read from text such as "test_roc_auc >= 0.8"."""

    name: str
    op: str
    value: float

    @classmethod
    def parse(cls, text: str) -> Condition:
        """Raises ValidationError for anything else."""
        found = _CONDITION.match(text)
        try:
            value = float(found["value"]) if found else None
        except ValueError:
            value = None
        if found is None or value is None or value != value:
            raise ValidationError(
                f"“{text}” is no condition; write a metric and a number, as in test_roc_auc >= 0.8."
            )
        return cls(found["name"], found["op"], value)


class ConditionsField(forms.CharField):
    """Conditions on metrics, separated by commas."""

    def clean(self, value: Any) -> list[Condition]:
        text = super().clean(value)
        return [Condition.parse(part) for part in text.split(",") if part.strip()]


class ConditionsFilter(django_filters.Filter):
    field_class = ConditionsField

    def filter(self, qs: QuerySet[Any], value: list[Condition] | None) -> QuerySet[Any]:
        for number, condition in enumerate(value or ()):
            alias = f"condition_{number}"
            qs = qs.alias(**{alias: metrics.column(condition.name)}).filter(
                **{f"{alias}__{_LOOKUPS[condition.op]}": condition.value}
            )
        return qs


class TrainingRunFilter(django_filters.FilterSet):
    """Runs by experiment, algorithm, status, source, person, metrics and text."""

    experiment = django_filters.CharFilter(
        field_name="experiment__experiment_id", lookup_expr="iexact", label="Experiment"
    )
    algorithm = django_filters.CharFilter(lookup_expr="iexact", label="Algorithm")
    status = django_filters.ChoiceFilter(choices=RunStatus.choices, empty_label="Any status")
    source = django_filters.ChoiceFilter(choices=RunSource.choices, empty_label="Any source")
    role = django_filters.ChoiceFilter(choices=RunRole.choices)
    by = django_filters.CharFilter(method="by_person", label="Started by")
    metric = ConditionsFilter(label="Metrics")
    mlflow_available = django_filters.BooleanFilter(label="Written to MLflow")
    text = django_filters.CharFilter(method="by_text", label="Text in the name or id")

    class Meta:
        model = TrainingRun
        fields: list[str] = []

    def by_person(
        self, queryset: QuerySet[TrainingRun], name: str, value: str
    ) -> QuerySet[TrainingRun]:
        return queryset.filter(
            Q(created_by__username__iexact=value)
            | Q(created_by__isnull=True, user_name__iexact=value)
        )

    def by_text(
        self, queryset: QuerySet[TrainingRun], name: str, value: str
    ) -> QuerySet[TrainingRun]:
        for word in value.split():
            queryset = queryset.filter(
                Q(run_name__icontains=word)
                | Q(mlflow_run_id__startswith=word)
                | Q(algorithm__icontains=word)
                | Q(experiment__experiment_id__icontains=word)
            )
        return queryset


class ExperimentFilter(django_filters.FilterSet):
    """Experiments by problem type and text."""

    problem_type = django_filters.ChoiceFilter(
        choices=ProblemType.choices, empty_label="Any problem"
    )
    text = django_filters.CharFilter(method="by_text", label="Text in the name")

    class Meta:
        model = Experiment
        fields: list[str] = []

    def by_text(
        self, queryset: QuerySet[Experiment], name: str, value: str
    ) -> QuerySet[Experiment]:
        for word in value.split():
            queryset = queryset.filter(Q(experiment_id__icontains=word) | Q(name__icontains=word))
        return queryset


class SelectionFilter(django_filters.FilterSet):
    """Selections by experiment, status and chosen algorithm."""

    experiment = django_filters.CharFilter(
        field_name="experiment__experiment_id", lookup_expr="iexact", label="Experiment"
    )
    status = django_filters.ChoiceFilter(choices=RunStatus.choices)
    algorithm = django_filters.CharFilter(field_name="selected_algorithm", lookup_expr="iexact")

    class Meta:
        model = Selection
        fields: list[str] = []


# Words before the colon, and the filter each one sets.
TOKENS = ("experiment", "algorithm", "status", "source", "by")


@dataclass(frozen=True)
class Search:
    """A parsed search line. `errors` are sentences about what was not understood."""

    line: str
    data: Mapping[str, str] = field(default_factory=dict)
    errors: tuple[str, ...] = ()


def parse_search(line: str) -> Search:
    """Read "experiment:visits status:failed test_roc_auc>=0.8 nightly" into filter values.

    Words without a colon or a comparison search names and ids. A value with blanks is quoted.
    """
    try:
        words = shlex.split(line)
    except ValueError:
        words = line.replace('"', " ").replace("'", " ").split()
    data: dict[str, str] = {}
    conditions: list[str] = []
    free: list[str] = []
    errors: list[str] = []
    for word in words:
        key, colon, value = word.partition(":")
        if re.search(r"[<>=]", word):
            conditions.append(word)
        elif not colon:
            free.append(word)
        elif key in TOKENS and value:
            data[key] = value
        else:
            known = ", ".join(f"{token}:" for token in TOKENS)
            errors.append(f"“{word}” is no filter; there are {known} and test_roc_auc>=0.8.")
    if free:
        data["text"] = " ".join(free)
    if conditions:
        data["metric"] = ",".join(conditions)
    return Search(line, data, tuple(errors))


def search_runs(
    line: str, queryset: QuerySet[TrainingRun]
) -> tuple[QuerySet[TrainingRun], tuple[str, ...]]:
    """Runs that fit the search line; none, with the reasons, when it is not understood."""
    search = parse_search(line)
    filters = TrainingRunFilter(search.data, queryset=queryset)
    errors = search.errors + tuple(
        message for messages in filters.errors.values() for message in map(str, messages)
    )
    return (queryset.none() if errors else filters.qs), errors


# Columns a table of runs can be sorted by, besides metrics.
_SORTS: Mapping[str, str] = {
    "started": "started_at",
    "duration": "duration_seconds",
    "name": "run_name",
    "experiment": "experiment__experiment_id",
    "algorithm": "algorithm",
    "status": "status",
}
DEFAULT_SORT = "-started"


def is_metric_name(name: str) -> bool:
    """Whether `name` could be a metric of MLflow."""
    return bool(_METRIC_NAME.match(name))


def sort_runs(queryset: QuerySet[TrainingRun], sort: str) -> QuerySet[TrainingRun]:
    """Order by a column or a metric; a leading minus means descending.

    Missing values come last, but runs that wait to start count as newest. What cannot be a name
    gives the default order.
    """
    name = sort.removeprefix("-")
    if name not in _SORTS and not is_metric_name(name):
        return sort_runs(queryset, DEFAULT_SORT)
    expression: Any = F(_SORTS[name]) if name in _SORTS else metrics.column(name)
    queryset = queryset.alias(sort_key=expression)
    if not sort.startswith("-"):
        return queryset.order_by(F("sort_key").asc(nulls_last=True), "id")
    empty = {"nulls_first": True} if name == "started" else {"nulls_last": True}
    return queryset.order_by(F("sort_key").desc(**empty), "-id")
