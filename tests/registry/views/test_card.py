"""Writing a model card in the browser."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.test import Client

from e2i_site.trail.models import TrailEntry
from registry.models import ModelCard, RegisteredModel
from tests.factories.people import UserFactory
from tests.factories.registry import EntryFactory
from tests.registry.views.reading import words_of

PAGE = "/registry/models/churn/versions/1/card/"
TEXTS = {"description": "Visits within a year.", "owner": "Risk team", "limitations": "Adults."}

pytestmark = pytest.mark.django_db
Browser = Callable[[User], Client]


def test_it_is_written_shown_and_on_record(
    browser: Browser, requester: User, model: RegisteredModel
) -> None:
    entry = EntryFactory(model=model, model_version=1)
    client = browser(requester)
    assert "Nobody has written one" in words_of(client.get(entry.get_absolute_url()))
    assert client.get(PAGE).status_code == 200
    answer = client.post(PAGE, {**TEXTS, "seen": ""}, follow=True)
    assert "is written" in words_of(answer)
    assert "Visits within a year." in words_of(answer)
    noted = TrailEntry.objects.get(event="registry.version.card_written")
    assert (noted.old, noted.new, noted.actor) == ({}, TEXTS, requester)
    form = client.get(PAGE).context["form"]
    assert form["owner"].value() == "Risk team"

    # An emptied field is empty, and what was there is in the trail.
    client.post(PAGE, {**TEXTS, "limitations": "", "seen": form["seen"].value()})
    assert "limitations" not in ModelCard.objects.get().content


def test_who_was_slower_keeps_the_text(
    browser: Browser, requester: User, model: RegisteredModel
) -> None:
    EntryFactory(model=model, model_version=1)
    client = browser(requester)
    client.post(PAGE, {"owner": "First", "seen": ""})
    late = client.post(PAGE, {"owner": "Second", "seen": ""})
    assert late.status_code == 400
    assert "Somebody wrote this card meanwhile" in words_of(late)
    assert late.context["form"]["owner"].value() == "Second"
    assert ModelCard.objects.get().owner == "First"


@pytest.mark.once
@pytest.mark.parametrize(
    ("role", "texts", "says"),
    [
        ("requester", {"owner": "x" * 201}, "at most 200 characters"),
        ("requester", {"description": "x" * 10_001}, "Longer than 10,000 characters: description."),
        ("requester", {"owner": " "}, "The card says this already"),
        ("viewer", {"owner": "Me"}, "do not include writing model cards"),
    ],
)
def test_what_is_wrong_is_said(
    browser: Browser, model: RegisteredModel, role: str, texts: dict[str, str], says: str
) -> None:
    EntryFactory(model=model, model_version=1)
    answer = browser(UserFactory(roles=[role])).post(PAGE, texts)
    assert says in words_of(answer)
    assert not ModelCard.objects.exists()
