"""The review page itself: what it holds, when it polls, and how many queries it takes."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from e2i_site.jobs.enqueue import enqueue
from e2i_site.jobs.models import Job, JobState
from registry.choices import PromotionState
from registry.models import Promotion, RegistryEntry
from tests.factories.people import UserFactory
from tests.factories.registry import PromotionFactory
from tests.registry.views.conftest import SESSION
from tests.registry.views.reading import hidden, text_of

pytestmark = pytest.mark.django_db
TRIGGER = 'hx-trigger="every'
Decide = Callable[..., Any]
Browser = Callable[[User], Client]


def test_differences_are_counted_only_where_there_is_something_to_compare_with(
    browser: Browser, approver: User, promotion: Promotion
) -> None:
    client = browser(approver)
    counted = re.compile(r'href="#differences"[^>]*>\s*Differences\s*<span class="e-count')
    assert counted.search(client.get(promotion.get_absolute_url()).content.decode())
    Promotion.objects.update(champion=None)
    markup = client.get(promotion.get_absolute_url()).content.decode()
    assert "there is nothing to compare with" in markup
    assert not counted.search(markup)


def test_what_people_typed_is_escaped(
    browser: Browser, decide: Decide, approver: User, promotion: Promotion
) -> None:
    decide(promotion, approver, "comment", reason="<script>alert(1)</script>")
    markup = browser(approver).get(promotion.get_absolute_url()).content.decode()
    assert "<script>alert(1)" not in markup
    assert "&lt;script&gt;alert(1)" in markup


def test_no_inline_style_or_script(browser: Browser, approver: User, promotion: Promotion) -> None:
    markup = browser(approver).get(promotion.get_absolute_url()).content.decode()
    assert not re.search(r"<[^>]+\sstyle=", markup)
    assert not re.search(r"<[^>]+\son\w+=", markup)
    for script in re.findall(r"<script[^>]*>", markup):
        assert "src=" in script or "application/json" in script


def test_htmx_gets_only_the_part_it_asks_for(
    browser: Browser, approver: User, promotion: Promotion
) -> None:
    client = browser(approver)
    url = promotion.get_absolute_url()
    whole = client.get(url).content.decode()
    part = client.get(url, headers={"HX-Request": "true", "HX-Target": "live"}).content.decode()
    assert "<html" in whole and "<html" not in part
    assert "All 2 gates passed" in part
    assert 'name="reason"' not in part


def test_the_page_polls_only_while_machines_work(
    browser: Browser, approver: User, promotion: Promotion
) -> None:
    client = browser(approver)
    assert TRIGGER not in client.get(promotion.get_absolute_url()).content.decode()
    job = enqueue("registry.carry_stage", subject="model:churn", payload={"model": "churn"})
    assert TRIGGER in client.get(promotion.get_absolute_url()).content.decode()
    Job.objects.filter(pk=job.pk).update(state=JobState.SUCCEEDED, finished_at=timezone.now())
    assert TRIGGER not in client.get(promotion.get_absolute_url()).content.decode()


def test_a_waiting_job_says_what_it_waits_for(
    browser: Browser, approver: User, promotion: Promotion
) -> None:
    job = enqueue("registry.carry_stage", subject="model:churn", payload={"model": "churn"})
    Job.objects.filter(pk=job.pk).update(
        state=JobState.WAITING, message="Waits for MLflow: it does not answer"
    )
    text = text_of(browser(approver).get(promotion.get_absolute_url()))
    assert "Waits for MLflow: it does not answer" in text


def test_the_poll_says_when_the_page_is_out_of_date(
    browser: Browser, approver: User, promotion: Promotion
) -> None:
    client = browser(approver)
    headers = {"HX-Request": "true", "HX-Target": "live"}
    url = promotion.get_absolute_url()
    same = client.get(url, {"revision": promotion.revision}, headers=headers)
    assert "changed since" not in same.content.decode()
    Promotion.objects.filter(pk=promotion.pk).update(revision=promotion.revision + 1)
    other = client.get(url, {"revision": promotion.revision}, headers=headers)
    assert "changed since" in other.content.decode()


@pytest.mark.parametrize("state", list(PromotionState))
def test_every_state_has_a_page(browser: Browser, approver: User, state: str) -> None:
    found = PromotionFactory(
        state=state, state_reason="Because.", gates=["pass", "inconclusive", "fail", "error"]
    )
    response = browser(approver).get(found.get_absolute_url())
    assert response.status_code == 200
    assert PromotionState(state).label in response.content.decode()


def test_gates_can_be_measured_again(
    browser: Browser, approver: User, promotion: Promotion
) -> None:
    client = browser(approver)
    url = f"{promotion.get_absolute_url()}refresh/"
    assert client.get(url).status_code == 405
    assert "nothing changed" in text_of(client.post(url, follow=True))
    RegistryEntry.objects.filter(pk=promotion.entry_id).update(signature={})
    assert "Signature: Passed → Failed." in text_of(client.post(url, follow=True))
    viewer = browser(UserFactory(roles=["viewer"]))
    before = promotion.gates.get(gate_id="signature").evaluated_at
    viewer.post(url)
    assert promotion.gates.get(gate_id="signature").evaluated_at == before


def test_the_hidden_field_holds_no_more_than_the_page(
    browser: Browser, approver: User, promotion: Promotion
) -> None:
    page = browser(approver).get(promotion.get_absolute_url())
    seen = json.loads(hidden(page, "seen"))
    assert set(seen) == {
        "state",
        "digest",
        "champion",
        "policy",
        "assigned",
        "gates",
        "review",
    }


def test_reviewers_are_asked_from_the_page(
    browser: Browser, approver: User, requester: User, promotion: Promotion
) -> None:
    url = f"{promotion.get_absolute_url()}reviewers/"
    assert "Ask them" not in text_of(browser(approver).get(promotion.get_absolute_url()))
    asking = browser(requester)
    assert "Ask them" in text_of(asking.get(promotion.get_absolute_url()))
    text = text_of(asking.post(url, {"reviewers": "alan, reviewer"}, follow=True))
    assert "They are told" in text and 'value="alan, reviewer"' in text
    assert "nobody is called" not in text
    assert "no group is called ghost" in text_of(
        asking.post(url, {"reviewers": "ghost"}, follow=True)
    )
    refused = text_of(browser(approver).post(url, {"reviewers": "alan"}, follow=True))
    assert "Only the requester or an administrator" in refused
    assert promotion.assignments.count() == 2


def test_queries(
    browser: Browser,
    approver: User,
    promotion: Promotion,
    decide: Decide,
    counting: None,
    django_assert_num_queries: Any,
) -> None:
    for number in range(3):
        decide(promotion, approver, "comment", reason=f"Thought {number}")
    client = browser(approver)
    with django_assert_num_queries(SESSION + 6):
        client.get(promotion.get_absolute_url())
