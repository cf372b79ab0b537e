"""Filters of the trail; the URL is their state."""

from __future__ import annotations

import django_filters
from django import forms
from django.db.models import Q, QuerySet

from e2i_site.trail import events
from e2i_site.trail.models import Source, TrailEntry


class TrailFilter(django_filters.FilterSet):
    """Entries by text, event, person, source, day, subject, scope and request."""

    q = django_filters.CharFilter(
        method="by_text",
        label="Search",
        widget=forms.TextInput(
            attrs={"type": "search", "placeholder": "Subject, person or reason"}
        ),
    )
    event = django_filters.ChoiceFilter(choices=events.choices, label="Event", empty_label="Any")
    actor = django_filters.CharFilter(field_name="actor_name", lookup_expr="iexact", label="Person")
    source = django_filters.ChoiceFilter(choices=Source.choices, label="Through", empty_label="Any")
    since = django_filters.DateFilter(
        field_name="at",
        lookup_expr="date__gte",
        label="From",
        widget=forms.DateInput(attrs={"type": "date"}),
    )
    until = django_filters.DateFilter(
        field_name="at",
        lookup_expr="date__lte",
        label="To",
        widget=forms.DateInput(attrs={"type": "date"}),
    )
    scope = django_filters.CharFilter(widget=forms.HiddenInput())
    subject_type = django_filters.CharFilter(widget=forms.HiddenInput())
    subject_id = django_filters.CharFilter(widget=forms.HiddenInput())
    request_id = django_filters.UUIDFilter(widget=forms.HiddenInput())

    class Meta:
        model = TrailEntry
        fields: list[str] = []

    def by_text(
        self, queryset: QuerySet[TrailEntry], name: str, value: str
    ) -> QuerySet[TrailEntry]:
        for word in value.split():
            queryset = queryset.filter(
                Q(subject_label__icontains=word)
                | Q(actor_name__icontains=word)
                | Q(reason__icontains=word)
                | Q(scope__icontains=word)
            )
        return queryset
