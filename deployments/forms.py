"""What people type when they act on a deployment."""

from __future__ import annotations

from django import forms


class ReasonForm(forms.Form):
    """Why; it goes on record."""

    reason = forms.CharField(
        label="Reason",
        max_length=2000,
        help_text="It goes on record with your name.",
        widget=forms.Textarea(attrs={"rows": 3}),
    )
