"""Forms of the notification pages."""

from __future__ import annotations

from typing import Any

from django import forms

from e2i_site.notifications import events
from e2i_site.notifications.models import WebhookKind


class WebhookForm(forms.Form):
    """An address that is told what its owner is told."""

    name = forms.CharField(label="Name", max_length=100)
    url = forms.CharField(
        label="Address",
        max_length=1000,
        widget=forms.URLInput(attrs={"placeholder": "https://…", "autocomplete": "off"}),
        help_text="It is shown nowhere again: the path of a Slack address is a secret.",
    )
    kind = forms.ChoiceField(label="Kind", choices=WebhookKind.choices)


class SharedWebhookForm(WebhookForm):
    """An address that is told what happens, whoever it concerns."""

    model = forms.CharField(
        label="Model", max_length=256, required=False, help_text="Empty for all models."
    )
    events = forms.MultipleChoiceField(
        label="Events",
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text="None chosen means all.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        known = [(event.name, event.label) for event in events.all_events()]
        self.fields["events"].choices = known  # type: ignore[attr-defined]

    @property
    def scope(self) -> str:
        name = self.cleaned_data["model"].strip()
        return f"model:{name}" if name else ""
