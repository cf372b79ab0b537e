"""Filters of training, shared by the pages and the API."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC
from typing import Any

import django_filters
from django import forms
from django.core.exceptions import ValidationError
from django.db.models import Q, QuerySet
from django_filters.fields import IsoDateTimeField

from training.choices import ProblemType, RunRole, RunSource, RunStatus
from training.models import Experiment, Selection, TrainingRun
from training.search.comparisons import metric_range
from training.search.conditions import condition, narrow
from training.search.grammar import Kind, SearchError, Term, parse


class SearchField(forms.CharField):
    """A search line; its value are the terms."""

    def clean(self, value: Any) -> tuple[Term, ...]:
        line = super().clean(value)
        try:
            terms = self.read(line)
        except SearchError as error:
            raise ValidationError(f"At “{line[error.start : error.end]}”: {error}") from None
        return terms

    def read(self, line: str) -> tuple[Term, ...]:
        """The terms; SearchError where the line, or one of them, means nothing."""
        terms = parse(line)
        for term in terms:
            condition(term)
        return terms


class SearchFilter(django_filters.Filter):
    field_class = SearchField

    def filter(self, qs: QuerySet[Any], value: Sequence[Term] | None) -> QuerySet[Any]:
        return narrow(qs, value or ())


class ConditionsField(forms.CharField):
    """Conditions on metrics, separated by commas."""

    def clean(self, value: Any) -> tuple[Term, ...]:
        text = super().clean(value)
        try:
            terms = parse(text)
            if any(term.kind != Kind.METRIC for term in terms):
                raise SearchError("something is no comparison with a metric", 0, 0)
            for term in terms:
                metric_range(term)
        except SearchError as error:
            raise ValidationError(
                f"“{text}” is no condition; write a metric and a number, as in "
                f"test_roc_auc >= 0.8. {error}"
            ) from None
        return terms


class ConditionsFilter(django_filters.Filter):
    field_class = ConditionsField

    def filter(self, qs: QuerySet[Any], value: Sequence[Term] | None) -> QuerySet[Any]:
        return qs.filter(*map(condition, value or ()))


class MomentField(IsoDateTimeField):
    def clean(self, value: Any) -> Any:
        moment = super().clean(value)
        try:
            return moment and moment.astimezone(UTC)
        except OverflowError:
            raise ValidationError("There is no such time.") from None


class MomentFilter(django_filters.IsoDateTimeFilter):
    field_class = MomentField


class RunMenus(django_filters.FilterSet):
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


class TrainingRunFilter(RunMenus):
    """As in the menus, and by a search line. What nobody asks for stays out, as in `narrow`."""

    q = SearchFilter(label="Search line, as in metric.auc>0.9 param.lr=0.1 tag.team:churn")


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
