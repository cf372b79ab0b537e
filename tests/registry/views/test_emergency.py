"""The pages of break-glass and emergency stop: what they say, who sees the door, who gets in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from e2i_site.core.roles import Role
from registry.actions.request_promotion import request_promotion
from registry.choices import Stage
from registry.models import Promotion, RegisteredModel
from tests.factories.deployments import DeploymentFactory
from tests.factories.people import PASSWORD, UserFactory
from tests.factories.registry import EntryFactory, PolicyFactory

pytestmark = pytest.mark.django_db
Browser = Callable[[User], Client]
TYPED = {
    "confirmation": "churn",
    "reason": "Callers get wrong answers; this cannot wait.",
    "password": PASSWORD,
}


@pytest.fixture
def failing(model: RegisteredModel, requester: User) -> Promotion:
    rules = {"gates": [{"id": "no_such_gate"}], "approvals": {"count": 1, "roles": ["approver"]}}
    PolicyFactory(name="strict", stages={"staging": rules})
    model.policy_name = "strict"
    model.save()
    return request_promotion(
        entry=EntryFactory(model=model), to_stage="staging", reason="Fix.", requester=requester
    )


@pytest.fixture
def admin(db: None) -> User:
    return UserFactory(username="ada", roles=["administrator"])


def text(response: Any) -> str:
    return str(response.content.decode())


def test_only_administrators_see_and_use_the_door(failing: Promotion, browser: Browser) -> None:
    url = f"{failing.get_absolute_url()}break-glass/"
    for role in Role.values:
        client = browser(UserFactory(roles=[role]))
        assert (url in text(client.get(failing.get_absolute_url()))) == (role == "administrator")
        if role != "administrator":
            assert "Only an administrator" in text(client.get(url))
            answer = client.post(url, TYPED)
            assert (answer.status_code, "Only an administrator" in text(answer)) == (400, True)
    failing.refresh_from_db()
    assert failing.state == "open"


def test_it_is_said_before_done_with_two_signatures_and_marked(
    failing: Promotion, admin: User, browser: Browser, model: RegisteredModel
) -> None:
    client = browser(admin)
    url = f"{failing.get_absolute_url()}break-glass/"
    page = text(client.get(url))
    assert "no_such_gate" in page
    assert "P0 finding" in page
    wrong = client.post(url, {**TYPED, "confirmation": "chum"})
    assert wrong.status_code == 400
    assert TYPED["reason"] in text(wrong)
    assert PASSWORD not in text(wrong)
    assert client.post(url, TYPED)["Location"] == failing.get_absolute_url()
    for path in (
        failing.get_absolute_url(),
        failing.entry.get_absolute_url(),
        model.get_absolute_url(),
        "/registry/promotions/?tab=decided",
    ):
        assert "ast its gates" in text(client.get(path)), path
    assert client.get(f"/api/v1/promotions/{failing.pk}/").json()["past_gates"] is True
    assert client.get(f"/api/v1/versions/{failing.entry_id}/").json()["past_gates"] is True
    api = client.get(f"/api/v1/promotions/{failing.pk}/").json()["break_glass"]
    assert (api["actor"], api["closed"], api["reviews"]) == ("ada", False, [])
    assert "Done, past its gates" in text(client.get(failing.get_absolute_url()))
    judge = f"{url}judge/"
    assert judge not in text(client.get(failing.get_absolute_url())), "not by whoever did it"
    assert judge not in text(client.get("/"))
    typed = {"accepted": "yes", "reason": TYPED["reason"], "password": PASSWORD}
    assert client.post(judge, typed).status_code == 400
    for name in ("alan", "odo"):
        other = browser(UserFactory(username=name, roles=["auditor"]))
        assert judge in text(other.get(failing.get_absolute_url()))
        assert judge in text(other.get("/")), "it waits for them"
        assert "What was done" in text(other.get(judge))
        assert other.post(judge, typed).status_code == 303
        assert judge not in text(other.get("/"))
    api = client.get(f"/api/v1/promotions/{failing.pk}/").json()["break_glass"]
    assert ([each["reviewer"] for each in api["reviews"]], api["closed"]) == (["alan", "odo"], True)
    assert "Two others have accepted it" in text(client.get(failing.get_absolute_url()))


def test_there_is_nothing_to_judge_where_no_glass_was_broken(
    failing: Promotion, admin: User, browser: Browser
) -> None:
    url = f"{failing.get_absolute_url()}break-glass/judge/"
    assert browser(admin).get(url).status_code == 404


def test_the_stop_says_what_follows_and_prefers_a_rollback(
    model: RegisteredModel, browser: Browser
) -> None:
    entry = EntryFactory(model=model, stage=Stage.PRODUCTION)
    deployment = DeploymentFactory(entry=entry)
    url = f"{entry.get_absolute_url()}stop/"
    for role in Role.values:
        client = browser(UserFactory(roles=[role]))
        may = role in ("deployer", "administrator")
        assert (url in text(client.get(entry.get_absolute_url()))) == may
        assert (url in text(client.get(deployment.get_absolute_url()))) == may
        page = text(client.get(url))
        assert "callers get status 503" in page
        assert "only a reviewed restore to staging leads it out again" in page
        assert f"/deployments/{deployment.pk}/rollback/" in page
        if not may:
            assert client.post(url, TYPED).status_code == 400
    entry.refresh_from_db()
    assert entry.stage == Stage.PRODUCTION
    client = browser(UserFactory(roles=["deployer"]))
    assert client.post(url, TYPED)["Location"] == entry.get_absolute_url()
    entry.refresh_from_db()
    assert entry.stage == Stage.ARCHIVED
    assert "stopped in an emergency" in text(client.get(deployment.get_absolute_url()))
    assert "(emergency stop)" in text(client.get(entry.get_absolute_url())), "in its history"
