"""Forms of one's own account."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django import forms

TOKEN_DAYS = (("7", "7 days"), ("30", "30 days"), ("90", "90 days"), ("365", "1 year"))


class TokenForm(forms.Form):
    """Asks for a new API token; every token expires."""

    days = forms.ChoiceField(
        label="Valid for",
        choices=TOKEN_DAYS,
        initial="90",
        help_text="A token has your roles, except that it can never approve or reject.",
    )

    @property
    def lifetime(self) -> timedelta:
        """How long the token lives; only for a valid form."""
        data: dict[str, Any] = self.cleaned_data
        return timedelta(days=int(data["days"]))
