"""Filters of the list of jobs."""

from __future__ import annotations

import django_filters
from django import forms
from django.db.models import QuerySet

from e2i_site.jobs.models import Job, JobState

PERIODIC = "every:"


class JobFilter(django_filters.FilterSet):
    """Jobs by state, kind and subject; those of the schedule only when asked for."""

    subject = django_filters.CharFilter(
        lookup_expr="icontains",
        label="Subject",
        widget=forms.TextInput(attrs={"type": "search", "placeholder": "model:churn"}),
    )
    state = django_filters.ChoiceFilter(choices=JobState.choices, empty_label="Any")
    kind = django_filters.CharFilter(lookup_expr="startswith", label="Kind")
    scheduled = django_filters.BooleanFilter(
        method="by_schedule",
        label="With scheduled ones",
        widget=forms.CheckboxInput(),
    )

    class Meta:
        model = Job
        fields: list[str] = []

    def by_schedule(self, queryset: QuerySet[Job], name: str, value: bool) -> QuerySet[Job]:
        """Hides the scheduled ones that did their work; those that failed are always shown."""
        if value:
            return queryset
        done = queryset.filter(key__startswith=PERIODIC, state=JobState.SUCCEEDED)
        return queryset.exclude(pk__in=done.values("pk"))
