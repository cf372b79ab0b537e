"""Write a version's model card."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from django.db import transaction

from e2i_site.core.errors import InvalidInput
from e2i_site.trail.record import record
from registry import trail_events
from registry.models import ModelCard, RegistryEntry
from registry.policies import may_write_card

if TYPE_CHECKING:
    from django.contrib.auth.models import User


@transaction.atomic
def write_card(*, entry: RegistryEntry, content: Mapping[str, str], actor: User) -> ModelCard:
    """Set the given fields of the card; the others stay. Raises `Refused` or `InvalidInput`."""
    may_write_card(actor).enforce()
    if unknown := sorted(set(content) - set(ModelCard.FIELDS)):
        raise InvalidInput(f"A model card has no field {', '.join(unknown)}.")
    RegistryEntry.objects.select_for_update(of=("self",)).get(pk=entry.pk)
    card, _ = ModelCard.objects.get_or_create(entry=entry)
    before = card.content
    for name, text in content.items():
        setattr(card, name, text.strip())
    card.updated_by = actor
    card.full_clean(exclude=["entry", "updated_by"])
    card.save()
    record(trail_events.CARD_WRITTEN, actor=actor, subject=entry, old=before, new=card.content)
    return card
