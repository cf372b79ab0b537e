"""Filters of the activity; the URL is their state."""

from __future__ import annotations

import django_filters
from django import forms
from django.db.models import Q, QuerySet

from e2i_site.activity.choices import EventKind, EventSource, SubjectKind
from e2i_site.activity.models import EventQuerySet, MlflowEvent

_DAY = {"widget": forms.DateInput(attrs={"type": "date"}), "field_name": "noticed_at"}


class EventFilter(django_filters.FilterSet):
    """Events by text, kind, subject, person, day and way of noticing."""

    q = django_filters.CharFilter(
        method="by_text",
        label="Search",
        widget=forms.TextInput(attrs={"type": "search", "placeholder": "Model, run, tag or alias"}),
    )
    kind = django_filters.ChoiceFilter(choices=EventKind.choices, label="What", empty_label="Any")
    subject = django_filters.ChoiceFilter(
        field_name="subject_kind", choices=SubjectKind.choices, label="Of a", empty_label="Any"
    )
    user = django_filters.CharFilter(lookup_expr="iexact", label="Person")
    source = django_filters.ChoiceFilter(
        choices=EventSource.choices, label="Noticed by", empty_label="Any"
    )
    since = django_filters.DateFilter(lookup_expr="date__gte", label="From", **_DAY)
    until = django_filters.DateFilter(lookup_expr="date__lte", label="To", **_DAY)
    model = django_filters.CharFilter(method="by_model", widget=forms.HiddenInput())
    run = django_filters.CharFilter(method="by_run", widget=forms.HiddenInput())

    class Meta:
        model = MlflowEvent
        fields: list[str] = []

    def by_text(
        self, queryset: QuerySet[MlflowEvent], name: str, value: str
    ) -> QuerySet[MlflowEvent]:
        for word in value.split():
            queryset = queryset.filter(
                Q(label__icontains=word) | Q(key__icontains=word) | Q(subject_id__icontains=word)
            )
        return queryset

    def by_model(self, queryset: EventQuerySet, name: str, value: str) -> EventQuerySet:
        return queryset.about_model(value)

    def by_run(self, queryset: EventQuerySet, name: str, value: str) -> EventQuerySet:
        return queryset.about_run(value)
