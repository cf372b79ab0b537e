"""Writing a policy in the site: checked, compared, replayed, published; nothing typed is lost."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from registry.actions.publish_policy import publish_policy
from registry.models import Promotion, PromotionPolicy
from tests.factories.people import PASSWORD
from tests.factories.registry import (
    EntryFactory,
    GateResultFactory,
    ModelFactory,
    PromotionFactory,
    ReviewFactory,
)
from tests.registry.views.conftest import SESSION
from tests.registry.views.reading import words_of

pytestmark = pytest.mark.django_db
Browser = Callable[[User], Client]
EDITOR = "/registry/policies/edit/"
SOURCE = """\
name: strict
models: ["churn*"]
stages:
  staging:
    gates: [{id: signature}]
    approvals: {count: 1, roles: [approver]}
  archived:
    approvals: {count: 1, roles: [approver]}
"""
STRICTER = SOURCE.replace("count: 1", "count: 2", 1)


@pytest.fixture
def policy(people: SimpleNamespace) -> PromotionPolicy:
    return publish_policy(source=SOURCE, reason="Why", actor=people.administrator)


@pytest.fixture
def client(people: SimpleNamespace, browser: Browser) -> Client:
    return browser(people.administrator)


def _check(client: Client, source: str, path: str = "check", **more: str) -> Any:
    target = {"check": "check", "replay": "replay"}[path]
    headers = {"HX-Request": "true", "HX-Target": target}
    return client.post(f"{EDITOR}{path}/", {"source": source, **more}, headers=headers)


def _publish(client: Client, source: str, seen: int, **more: str) -> Any:
    data = {"source": source, "seen": seen, "reason": "Two see more.", "password": PASSWORD}
    return client.post(EDITOR, {**data, **more})


def test_every_problem_is_named_with_its_line(client: Client) -> None:
    wrong = SOURCE.replace("signature", "nope").replace("roles: [approver]", "roles: [king]")
    text = words_of(_check(client, wrong))
    assert "No gate is called 'nope'" in text
    assert "Line 5, column 14: gates: [{id: nope}]" in text
    assert text.count("It is a list of roles") == 2
    assert "It can be published" not in text


def test_what_it_would_change_is_shown_before(
    client: Client, policy: PromotionPolicy, people: SimpleNamespace
) -> None:
    model = ModelFactory(name="churn_a")
    asked = PromotionFactory(entry=EntryFactory(model=model), policy=policy)
    text = words_of(_check(client, STRICTER))
    assert "stages.staging.approvals.count 1 2" in text
    assert (
        f"1 promotion under way is judged anew by it; approvals given so far become void: {asked}"
        in text
    )
    assert "2 approvals by an approver." in text
    assert "No promotion under way is touched." in words_of(
        _check(client, SOURCE.replace("name: strict", "name: strict\nnotice: Careful."))
    )
    ModelFactory(name="risk")
    wider = words_of(_check(client, SOURCE.replace("churn*", "r*")))
    assert "1 more model come under it: risk" in wider
    assert "1 model leaves it: churn_a" in wider


def test_it_is_published_signed_and_then_in_force(client: Client, policy: PromotionPolicy) -> None:
    opened = client.get(f"{EDITOR}?from=strict&version=1")
    assert words_of(opened).count("It says what is in force") == 1
    refused = _publish(client, STRICTER, 1, password="wrong")
    assert refused.status_code == 400
    assert "This is not your password." in words_of(refused)
    done = _publish(client, STRICTER, 1)
    assert (done.status_code, done["Location"]) == (303, "/registry/policies/strict/2/")
    assert PromotionPolicy.objects.newest("strict").source == STRICTER  # type: ignore[union-attr]
    page = words_of(client.get("/registry/policies/strict/2/"))
    assert "Pat Administrator (administrator) I publish strict v2. Signed 20" in page
    unsigned = words_of(client.get("/registry/policies/strict/1/"))
    assert "By administrator, with a command, without a signature." in unsigned
    came = words_of(client.get("/registry/policies/default/1/"))
    assert "The trail holds no publication of it." in came


def test_who_was_slower_sees_what_changed_and_keeps_the_text(
    client: Client, policy: PromotionPolicy, people: SimpleNamespace
) -> None:
    theirs = SOURCE.replace("models", "notice: Theirs.\nmodels")
    publish_policy(source=theirs, reason="They were first.", actor=people.administrator)
    answer = _publish(client, STRICTER, 1, opened="strict v1")
    text = words_of(answer)
    assert answer.status_code == 409
    assert "you compared with version 1" in text
    assert "Somebody else published strict v2 after you opened this" in text
    assert (
        "They were first." in text and "+ notice: Theirs." in text and "− notice: Theirs." in text
    )
    assert STRICTER in answer.context["form"]["source"].value()
    assert 'name="seen" value="2"' in answer.content.decode()
    assert PASSWORD not in answer.content.decode()
    assert _publish(client, STRICTER, 2).status_code == 303


def test_replay_names_the_decisions_that_would_differ(
    client: Client,
    policy: PromotionPolicy,
    people: SimpleNamespace,
    counting: None,
    django_assert_max_num_queries: Any,
) -> None:
    applied = _applied(people, policy)
    with django_assert_max_num_queries(SESSION + 7):
        text = words_of(_check(client, STRICTER, "replay"))
    assert f"#{applied.pk} {applied}" in text
    assert "Would have been blocked Not approved enough" in text
    assert "All 1 past promotion of 1 model would have ended the same." in words_of(
        _check(client, SOURCE, "replay")
    )
    Promotion.objects.update(decided_at="2026-01-01T00:00Z")
    assert "was decided since 2026-01-02" in words_of(
        _check(client, STRICTER, "replay", since="2026-01-02")
    )
    assert _check(client, STRICTER, "replay", since="soon").status_code == 400
    assert "correct them" in words_of(_check(client, "name: x", "replay"))
    with django_assert_max_num_queries(SESSION + 7):
        _check(client, STRICTER.replace("churn*", "c*"))


def test_without_scripts_the_page_comes_back_with_the_text(
    client: Client, policy: PromotionPolicy
) -> None:
    for path in ("check", "replay"):
        answer = client.post(f"{EDITOR}{path}/", {"source": STRICTER, "reason": "Because"})
        assert STRICTER in answer.context["form"]["source"].value()
        assert "Because" in answer.content.decode()
        assert "<h1>" in answer.content.decode()


def test_an_auditor_tries_a_policy_and_does_not_publish(
    people: SimpleNamespace, browser: Browser
) -> None:
    client = browser(people.auditor)
    assert "Only an administrator manages policies." in words_of(client.get(EDITOR))
    assert _check(client, SOURCE).status_code == 200
    assert _publish(client, SOURCE, 0).status_code == 403
    assert browser(people.approver).get(EDITOR).status_code == 403
    assert not PromotionPolicy.objects.filter(name="strict").exists()


def test_an_unknown_version_is_404(client: Client) -> None:
    assert client.get(f"{EDITOR}?from=none").status_code == 404
    assert client.get(f"{EDITOR}?from=default&version=99").status_code == 404


def _applied(people: SimpleNamespace, policy: PromotionPolicy) -> Promotion:
    promotion = PromotionFactory(
        entry=EntryFactory(model=ModelFactory(name="churn")),
        policy=policy,
        state="applied",
        decided_at=timezone.now(),
    )
    GateResultFactory(promotion=promotion, gate_id="signature", specification={"id": "signature"})
    ReviewFactory(
        promotion=promotion, reviewer=people.approver, decision="approve", groups=["approver"]
    )
    return promotion
