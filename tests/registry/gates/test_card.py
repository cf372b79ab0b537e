"""The model card: who writes it, what is kept of it, and the gate that asks for it."""

from __future__ import annotations

import pytest
from django.core.management import call_command

from e2i_site.core.errors import InvalidInput, Refused
from e2i_site.trail.models import TrailEntry
from registry.actions.write_card import write_card
from tests.factories.people import UserFactory
from tests.factories.registry import EntryFactory, ModelFactory
from tests.registry.gates.conftest import Ask

pytestmark = pytest.mark.django_db


def test_the_gate_asks_for_a_whole_card(ask: Ask) -> None:
    entry = EntryFactory(model=ModelFactory(policy_name="cards"))
    writer = UserFactory(roles=["requester"])

    def outcome() -> str:
        return ask(entry, {"id": "model_card"})["model_card"].outcome

    assert outcome() == "inconclusive"
    write_card(entry=entry, content={"owner": "Risk team"}, actor=writer)
    assert outcome() == "fail"
    texts = {"description": "Visits.", "intended_use": "Planning.", "limitations": "Adults."}
    call_command("write_card", entry.model_id, entry.model_version, user=writer.username, **texts)
    assert outcome() == "pass"
    noted = TrailEntry.objects.filter(event="registry.version.card_written").latest("id")
    assert (noted.old, noted.new) == ({"owner": "Risk team"}, {**texts, "owner": "Risk team"})


def test_who_may_not_write_and_what_may_not_be_written() -> None:
    entry = EntryFactory()
    with pytest.raises(Refused, match="writing model cards"):
        write_card(entry=entry, content={"owner": "me"}, actor=UserFactory(roles=["viewer"]))
    with pytest.raises(InvalidInput, match="no field motto"):
        write_card(entry=entry, content={"motto": "x"}, actor=UserFactory(roles=["requester"]))
