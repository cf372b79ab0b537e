"""The form of a model card: its fields are those of the model."""

from __future__ import annotations

from django import forms

from registry.models import ModelCard


class CardForm(forms.ModelForm):  # type: ignore[type-arg]
    """`seen` is the version of the card that was on the page."""

    seen = forms.CharField(required=False, widget=forms.HiddenInput)

    class Meta:
        model = ModelCard
        fields = ModelCard.FIELDS
        widgets = {
            name: forms.Textarea(attrs={"rows": 4, "maxlength": ModelCard.LONGEST})
            for name in ModelCard.FIELDS
            if name != "owner"
        }

    @classmethod
    def about(cls, card: ModelCard | None) -> CardForm:
        """With what the card says now."""
        return cls(initial={**card.content, "seen": card.seen} if card else {})

    @property
    def content(self) -> dict[str, str]:
        """{field: text} of a valid form, empty ones too."""
        return {name: self.cleaned_data[name] for name in ModelCard.FIELDS}
