"""Asking for a promotion in the browser."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from e2i_site.trail.models import TrailEntry
from registry.choices import Stage
from registry.models import GateResult, Promotion, RegisteredModel, RegistryEntry
from tests.factories.people import UserFactory
from tests.factories.registry import EntryFactory
from tests.registry.views.conftest import SESSION

pytestmark = pytest.mark.django_db
Browser = Callable[[User], Client]
URL = "/registry/promotions/new/"


@pytest.fixture
def entry(model: RegisteredModel) -> RegistryEntry:
    return EntryFactory(model=model)


def _url(entry: RegistryEntry, to: str = "staging") -> str:
    return f"{URL}?model={entry.model_id}&version={entry.model_version}&to={to}"


def _text(response: Any) -> str:
    return re.sub(r"\s+", " ", html.unescape(response.content.decode()))


def test_anonymous_people_are_sent_to_the_login(client: Client, entry: RegistryEntry) -> None:
    assert client.post(_url(entry), {"to_stage": "staging", "reason": "x"}).status_code == 302
    assert not Promotion.objects.exists()


def test_a_request_opens_a_promotion_with_a_trail(
    browser: Browser, requester: User, entry: RegistryEntry
) -> None:
    form = {"to_stage": "staging", "reason": "Better."}
    response = browser(requester).post(_url(entry), form)
    promotion = Promotion.objects.get()
    assert response.status_code == 303
    assert response["Location"] == promotion.get_absolute_url()
    assert (promotion.requester, promotion.reason) == (requester, "Better.")
    trail = TrailEntry.objects.get(event="registry.promotion.requested")
    assert (trail.actor, trail.source, trail.reason) == (requester, "web", "Better.")


def test_the_form_says_what_the_gates_would_say_and_stores_nothing(
    browser: Browser, requester: User, model: RegisteredModel
) -> None:
    entry = EntryFactory(model=model, signature={})
    response = browser(requester).get(_url(entry))
    assert "The model declares no inputs and no outputs." in _text(response)
    assert not Promotion.objects.exists() and not GateResult.objects.exists()


@pytest.mark.parametrize("role", ["viewer", "auditor"])
def test_who_may_not_ask_reads_why(browser: Browser, entry: RegistryEntry, role: str) -> None:
    client = browser(UserFactory(roles=[role]))
    assert "Your roles do not include requesting promotions." in _text(client.get(_url(entry)))
    response = client.post(_url(entry), {"to_stage": "staging", "reason": "Please."})
    assert response.status_code == 400
    assert not Promotion.objects.exists()


@pytest.mark.parametrize(
    ("form", "says"),
    [
        ({"to_stage": "staging", "reason": " "}, "Say why this version should move."),
        ({"to_stage": "production", "reason": "Now!"}, "production"),
        ({"to_stage": "moon", "reason": "Up!"}, "moon"),
        ({}, "Say why this version should move."),
    ],
)
def test_a_wrong_form_keeps_what_was_typed(
    browser: Browser, requester: User, entry: RegistryEntry, form: dict[str, str], says: str
) -> None:
    response = browser(requester).post(_url(entry), form)
    assert response.status_code == 400
    assert says in _text(response)
    assert form.get("reason", "").strip() in _text(response)
    assert not Promotion.objects.exists()


def test_a_second_request_is_refused_by_name(
    browser: Browser, requester: User, entry: RegistryEntry
) -> None:
    client = browser(requester)
    form = {"to_stage": "staging", "reason": "Better."}
    client.post(_url(entry), form)
    response = client.post(_url(entry), form)
    assert "is open already" in _text(response)
    first = Promotion.objects.get()
    link = f'<a href="{first.get_absolute_url()}">Promotion {first.pk}</a> asks for this already'
    assert link in _text(response)
    assert link in _text(client.get(_url(entry)))
    assert link not in _text(client.get(_url(entry, "archived")))
    assert Promotion.objects.count() == 1


def test_a_stage_without_rules_is_said(
    browser: Browser, requester: User, model: RegisteredModel
) -> None:
    entry = EntryFactory(model=model, stage=Stage.STAGING)
    response = browser(requester).post(
        _url(entry, "shadow"), {"to_stage": "shadow", "reason": "Go."}
    )
    assert "has no rules for promotions to shadow" in _text(response)


@pytest.mark.parametrize("query", ["model=churn&version=99", "model=none&version=1"])
def test_an_unknown_version_is_404(
    browser: Browser, requester: User, entry: RegistryEntry, query: str
) -> None:
    assert browser(requester).get(f"{URL}?{query}").status_code == 404


def test_without_a_version_one_is_chosen_first(
    browser: Browser, requester: User, entry: RegistryEntry
) -> None:
    response = browser(requester).get(URL)
    assert response.status_code == 200
    assert "churn" in _text(response)


@pytest.mark.once  # on PostgreSQL the test's own transaction adds savepoints
def test_queries(
    browser: Browser,
    requester: User,
    entry: RegistryEntry,
    counting: None,
    django_assert_num_queries: Any,
) -> None:
    client = browser(requester)
    with django_assert_num_queries(SESSION + 4):
        client.get(_url(entry))


def test_an_archived_version_is_asked_back_and_reviewed_like_any_other(
    browser: Browser, requester: User, approver: User, model: RegisteredModel, decide: Any
) -> None:
    entry = EntryFactory(model=model, stage=Stage.ARCHIVED)
    client = browser(requester)
    assert "Request to restore to staging" in _text(client.get(entry.get_absolute_url()))
    page = _text(client.get(_url(entry)))
    assert f"Request to restore {entry}" in page and "no rollback leads to it" in page
    client.post(_url(entry), {"to_stage": "staging", "reason": "Archived by mistake."})
    promotion = Promotion.objects.get()
    assert browser(approver).get(promotion.get_absolute_url()).status_code == 200
    assert decide(promotion, requester, "approve").status_code == 403
    assert decide(promotion, approver, "approve").status_code == 303
    change = entry.stage_changes.get()
    assert (change.from_stage, change.to_stage, change.cause) == ("archived", "staging", "restore")
    assert change.promotion == promotion
    entry.refresh_from_db()
    assert entry.stage == Stage.STAGING
