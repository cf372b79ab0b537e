"""Forms of the registry. They check what was typed; the actions decide."""

from __future__ import annotations

from typing import Any

from django import forms
from django.urls import reverse_lazy

from registry.choices import ReviewDecision, Stage
from registry.models import RegistryEntry
from registry.policies import is_legal

_REASON = {"rows": 4, "required": True}


class DecisionForm(forms.Form):
    """What somebody says about a promotion, and which revision of it they saw.

    `seen` is the evidence that was on the page, {gate: [outcome, hash]}: it serves only to show
    afterwards what changed.
    """

    WITHDRAW = "withdraw"
    RESUBMIT = "resubmit"
    DECISIONS = (*ReviewDecision.choices, (WITHDRAW, "Withdraw"), (RESUBMIT, "Answer"))

    decision = forms.ChoiceField(
        choices=DECISIONS, error_messages={"required": "Choose what to do."}
    )
    reason = forms.CharField(
        max_length=5000,
        error_messages={"required": "Give a reason; it goes on record."},
        widget=forms.Textarea(
            attrs={
                **_REASON,
                "data-mentions": reverse_lazy("registry:people"),
                "aria-controls": "people",
                "aria-autocomplete": "list",
            }
        ),
    )
    password = forms.CharField(
        required=False,
        strip=False,
        label="Your password",
        help_text="It signs the decision with your name and the time; a comment needs none.",
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
    )
    revision = forms.IntegerField(min_value=1, widget=forms.HiddenInput)
    seen = forms.JSONField(required=False, widget=forms.HiddenInput)

    def clean_seen(self) -> dict[str, Any]:
        seen = self.cleaned_data["seen"]
        return seen if isinstance(seen, dict) else {}


class RequestForm(forms.Form):
    """Which version should go where, and why."""

    to_stage = forms.ChoiceField(label="Move it to", choices=Stage.choices)
    reason = forms.CharField(
        label="Why should it move?",
        max_length=5000,
        error_messages={"required": "Say why this version should move."},
        widget=forms.Textarea(attrs=_REASON),
    )

    def __init__(self, *args: Any, entry: RegistryEntry, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        stages = [(s.value, s.label) for s in Stage if is_legal(entry.stage, s)]
        self.fields["to_stage"].choices = stages  # type: ignore[attr-defined]
