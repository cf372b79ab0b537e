"""Filters of deployments, shared by the pages and the API."""

from __future__ import annotations

import django_filters
from django.db.models import Q, QuerySet

from deployments.choices import (
    LIVE,
    DeploymentStatus,
    Environment,
    Strategy,
    VerdictState,
    WindowState,
)
from deployments.models import Deployment, ShadowWindow


class DeploymentFilter(django_filters.FilterSet):
    """Deployments by model, place, state and text."""

    live = django_filters.BooleanFilter(method="by_live", label="Live")
    model = django_filters.CharFilter(
        field_name="entry__model__name", lookup_expr="iexact", label="Model"
    )
    version = django_filters.NumberFilter(field_name="entry__model_version", min_value=1)
    endpoint = django_filters.CharFilter(
        field_name="endpoint_name", lookup_expr="iexact", label="Endpoint"
    )
    environment = django_filters.ChoiceFilter(
        choices=Environment.choices, empty_label="Any environment"
    )
    status = django_filters.ChoiceFilter(choices=DeploymentStatus.choices, empty_label="Any status")
    strategy = django_filters.ChoiceFilter(choices=Strategy.choices, empty_label="Any strategy")
    text = django_filters.CharFilter(method="by_text", label="Model or endpoint contains")

    class Meta:
        model = Deployment
        fields: list[str] = []

    def by_live(
        self, queryset: QuerySet[Deployment], name: str, value: bool
    ) -> QuerySet[Deployment]:
        wanted = Q(status__in=LIVE)
        return queryset.filter(wanted if value else ~wanted)

    def by_text(
        self, queryset: QuerySet[Deployment], name: str, value: str
    ) -> QuerySet[Deployment]:
        for word in value.split():
            queryset = queryset.filter(
                Q(entry__model__name__icontains=word)
                | Q(endpoint_name__icontains=word)
                | Q(deployment_name__icontains=word)
            )
        return queryset


class ShadowWindowFilter(django_filters.FilterSet):
    """Shadow windows by model, state and verdict."""

    model = django_filters.CharFilter(field_name="entry__model__name", lookup_expr="iexact")
    version = django_filters.NumberFilter(field_name="entry__model_version", min_value=1)
    state = django_filters.ChoiceFilter(choices=WindowState.choices)
    verdict = django_filters.ChoiceFilter(choices=VerdictState.choices)

    class Meta:
        model = ShadowWindow
        fields: list[str] = []
