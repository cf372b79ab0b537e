"""What people type to publish a policy."""

from __future__ import annotations

from django import forms

from registry.document.read import LARGEST
from registry.emergency_forms import SignedForm


class PolicyForm(SignedForm):
    """The document, why it changes, and a signature.

    `seen` is the version that the difference on the page was to, `opened` the one that was in
    force when the page was opened.
    """

    field_order = ("source", "reason", "password")

    source = forms.CharField(
        label="Document",
        strip=False,
        max_length=LARGEST,
        error_messages={"required": "The document is empty."},
        widget=forms.Textarea(
            attrs={"rows": 28, "spellcheck": "false", "autocapitalize": "off", "class": "mono"}
        ),
    )
    opened = forms.CharField(required=False, max_length=80, widget=forms.HiddenInput)
    seen = forms.IntegerField(min_value=0, widget=forms.HiddenInput)
