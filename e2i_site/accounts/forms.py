"""Forms of one's own account."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django import forms
from django.contrib.auth.forms import PasswordChangeForm
from django.contrib.auth.models import User
from django.http import HttpRequest

from e2i_site.accounts.reauthentication import reauthenticate
from e2i_site.core.errors import InvalidInput, Refused

TOKEN_DAYS = (("7", "7 days"), ("30", "30 days"), ("90", "90 days"), ("365", "1 year"))


class NameForm(forms.ModelForm):  # type: ignore[type-arg]
    """The full name that signatures print. Once set, an administrator changes it."""

    class Meta:
        model = User
        fields = ("first_name", "last_name")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in self.fields:
            self.fields[name].required = True
            self.fields[name].error_messages["required"] = "A signature prints both names."


class ChangePasswordForm(PasswordChangeForm):
    """The old password counts like a login: it cannot be guessed here either."""

    def __init__(self, *args: Any, request: HttpRequest, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._request = request

    def clean_old_password(self) -> str:
        """The password that was proved. ValidationError says what is wrong, or how long to wait."""
        typed: str = self.cleaned_data["old_password"]
        try:
            reauthenticate(self.user, typed, request=self._request)
        except (InvalidInput, Refused) as error:
            raise forms.ValidationError(str(error)) from None
        return typed


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
