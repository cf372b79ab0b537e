"""Forms of the audit pages."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.contrib.auth.models import User
from django.utils import timezone

from e2i_site.audit.models import Finding
from e2i_site.audit.policies import LONGEST_P0_WAIVER, LONGEST_WAIVER
from e2i_site.core.roles import Role


class WaiveForm(forms.Form):
    """Who lives with a finding, why, and until when (the start of that day, UTC)."""

    owner = forms.ModelChoiceField(User.objects.none(), label="Owner")
    until = forms.DateField(
        label="Until", widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")
    )
    reason = forms.CharField(
        label="Reason", widget=forms.Textarea(attrs={"rows": 4}), min_length=10, max_length=2000
    )

    def __init__(self, *args: Any, finding: Finding, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        roles = [each for each in Role.values if each != Role.VIEWER]
        people = User.objects.filter(is_active=True, groups__name__in=roles)
        self.fields["owner"].queryset = people.distinct().order_by("username")  # type: ignore[attr-defined]
        longest = LONGEST_P0_WAIVER if finding.priority == "P0" else LONGEST_WAIVER
        today = timezone.now().date()
        self.fields["until"].widget.attrs.update(
            min=(today + timedelta(days=1)).isoformat(), max=(today + longest).isoformat()
        )
        self.fields["until"].help_text = (
            f"It ends as that day begins, UTC; at most {longest.days} days for a "
            f"{finding.priority}."
        )
        self.fields["owner"].help_text = "Answers for the finding while it stands."

    @property
    def expires_at(self) -> datetime:
        """The chosen day's start: a waiver never outlasts the longest one allowed."""
        day = self.cleaned_data["until"]
        return datetime(day.year, day.month, day.day, tzinfo=timezone.get_current_timezone())


class RevokeForm(forms.Form):
    """Why a waiver ends early."""

    reason = forms.CharField(
        label="Reason", widget=forms.Textarea(attrs={"rows": 3}), min_length=10, max_length=2000
    )
