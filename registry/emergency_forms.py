"""What people type in an emergency. Nothing is prefilled: typing is part of deciding."""

from __future__ import annotations

from typing import Any

from django import forms

_REASON = {"rows": 4, "required": True}


class PasswordField(forms.CharField):
    """The password of whoever acts, typed again."""

    def __init__(self) -> None:
        super().__init__(
            label="Your password",
            strip=False,
            help_text="It signs this with your name and the time.",
            widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
        )


class StopForm(forms.Form):
    """Which model is meant, and why."""

    confirmation = forms.CharField(
        label="The model's name",
        max_length=256,
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )
    reason = forms.CharField(label="Reason", max_length=5000, widget=forms.Textarea(attrs=_REASON))

    def __init__(self, *args: Any, name: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["confirmation"].help_text = f"Type it to confirm: {name}"


class BreakGlassForm(StopForm):
    """Also signed."""

    password = PasswordField()


class SignedForm(forms.Form):
    """Why, signed."""

    reason = forms.CharField(label="Reason", max_length=5000, widget=forms.Textarea(attrs=_REASON))
    password = PasswordField()


class JudgeForm(SignedForm):
    """What somebody else thinks of it afterwards."""

    field_order = ("accepted", "reason", "password")

    accepted = forms.TypedChoiceField(
        label="Was it right?",
        choices=[("yes", "I accept it"), ("no", "I do not accept it")],
        coerce=lambda value: value == "yes",
        widget=forms.RadioSelect,
    )
