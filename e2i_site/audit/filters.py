"""Filters of the audit, shared by pages and API."""

from __future__ import annotations

from typing import Any

import django_filters
from django import forms
from django.db.models import Q, QuerySet
from django.utils import timezone

from e2i_site.audit import plan
from e2i_site.audit.choices import FindingStatus, Outcome, Priority, RunStatus
from e2i_site.audit.models import AuditRun, Finding, SubjectResult

SEARCH = forms.TextInput(attrs={"type": "search", "autocomplete": "off"})
PHASES = [(each.number, f"{each.number} · {each.title}") for each in plan.PHASES]


def understood(found: django_filters.FilterSet) -> QuerySet[Any]:
    """What the filter lets through; nothing, rather than everything, when it is not understood."""
    rows: QuerySet[Any] = found.qs if found.is_valid() else found.queryset.none()
    return rows


class FindingFilter(django_filters.FilterSet):  # type: ignore[misc, unused-ignore]
    """Findings by status, priority, phase, check, subject and text."""

    status = django_filters.ChoiceFilter(
        choices=FindingStatus.choices, method="by_status", empty_label="Any"
    )
    priority = django_filters.ChoiceFilter(choices=Priority.choices, empty_label="Any")
    phase = django_filters.ChoiceFilter(choices=PHASES, empty_label="Any")
    check = django_filters.CharFilter(field_name="check_id", label="Check")
    subject_kind = django_filters.CharFilter(widget=forms.HiddenInput)
    subject_key = django_filters.CharFilter(widget=forms.HiddenInput)
    regressed = django_filters.ChoiceFilter(
        choices=[("true", "Yes"), ("false", "No")],
        method="by_regressed",
        label="Came back",
        empty_label="Any",
    )
    text = django_filters.CharFilter(method="by_text", label="Text", widget=SEARCH)

    class Meta:
        model = Finding
        fields: list[str] = []

    def by_status(self, queryset: QuerySet[Finding], name: str, value: str) -> QuerySet[Finding]:
        now = timezone.now()
        unresolved_past_waiver = Q(waived_until__lte=now)
        if value == FindingStatus.OPEN:
            return queryset.filter(Q(status=value) | unresolved_past_waiver)
        return queryset.filter(status=value).exclude(unresolved_past_waiver)

    def by_regressed(self, queryset: QuerySet[Finding], name: str, value: str) -> QuerySet[Finding]:
        came_back = Q(regressions__gt=0) & ~Q(status=FindingStatus.RESOLVED)
        return queryset.filter(came_back if value == "true" else ~came_back)

    def by_text(self, queryset: QuerySet[Finding], name: str, value: str) -> QuerySet[Finding]:
        for word in value.split():
            queryset = queryset.filter(
                Q(subject_label__icontains=word)
                | Q(message__icontains=word)
                | Q(title__icontains=word)
            )
        return queryset


class AuditRunFilter(django_filters.FilterSet):  # type: ignore[misc, unused-ignore]
    """Audit runs by status and phase."""

    status = django_filters.ChoiceFilter(choices=RunStatus.choices, empty_label="Any")
    phase = django_filters.ChoiceFilter(choices=PHASES, empty_label="Any")

    class Meta:
        model = AuditRun
        fields: list[str] = []


class OutcomeFilter(django_filters.FilterSet):  # type: ignore[misc, unused-ignore]
    """What a run saw, by outcome, check and subject."""

    outcome = django_filters.ChoiceFilter(
        choices=[each for each in Outcome.choices if each[0] in ("pass", "fail", "inconclusive")],
        empty_label="Any",
    )
    check = django_filters.CharFilter(field_name="result__check_id", label="Check")
    text = django_filters.CharFilter(
        field_name="subject_label",
        lookup_expr="icontains",
        label="Subject contains",
        widget=SEARCH,
    )

    class Meta:
        model = SubjectResult
        fields: list[str] = []
