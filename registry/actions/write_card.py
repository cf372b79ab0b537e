"""Write a version's model card."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from django.core.exceptions import ValidationError
from django.db import transaction

from e2i_site.core.errors import Conflict, InvalidInput
from e2i_site.trail.record import record
from registry import trail_events
from registry.models import ModelCard, RegistryEntry
from registry.policies import may_write_card

if TYPE_CHECKING:
    from django.contrib.auth.models import User


@transaction.atomic
def write_card(
    *, entry: RegistryEntry, content: Mapping[str, str], actor: User, seen: str | None = None
) -> ModelCard:
    """Set the given fields of the card; the others stay.

    `seen` is the state of the card that was changed, "" for none; without it nothing is compared.
    Raises `Refused`, `InvalidInput`, or `Conflict` when somebody else wrote meanwhile.
    """
    may_write_card(actor).enforce()
    if unknown := sorted(set(content) - set(ModelCard.FIELDS)):
        raise InvalidInput(f"A model card has no field {', '.join(unknown)}.")
    RegistryEntry.objects.select_for_update(of=("self",)).get(pk=entry.pk)
    if long := [name for name, text in content.items() if len(text) > ModelCard.LONGEST]:
        raise InvalidInput(f"Longer than {ModelCard.LONGEST:,} characters: {', '.join(long)}.")
    card = ModelCard.objects.filter(entry=entry).first() or ModelCard(entry=entry)
    if seen is not None and seen != (card.seen if card.pk else ""):
        raise Conflict(
            "Somebody wrote this card meanwhile. Open it again; your text is still here."
        )
    before = card.content
    for name, text in content.items():
        setattr(card, name, text.strip())
    card.updated_by = actor
    if card.content == before:
        raise InvalidInput("The card says this already; nothing was changed.")
    _check(card)
    card.save()
    record(trail_events.CARD_WRITTEN, actor=actor, subject=entry, old=before, new=card.content)
    return card


def _check(card: ModelCard) -> None:
    try:
        card.full_clean(exclude=["entry", "updated_by"])
    except ValidationError as error:
        raise InvalidInput(" ".join(error.messages)) from None
