"""The queue: whose turn it is, searching, and the export."""

from __future__ import annotations

import csv
import html
import io
import re
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from registry import queries
from registry.choices import PromotionState
from registry.models import Promotion, ReviewAssignment
from tests.factories.people import UserFactory
from tests.factories.registry import EntryFactory, ModelFactory, PromotionFactory, ReviewFactory
from tests.registry.views.conftest import SESSION

pytestmark = pytest.mark.django_db
Browser = Callable[[User], Client]
URL = "/registry/promotions/"


def _shown(response: Any) -> set[int]:
    return {row.promotion.pk for row in response.context["rows"]}


def test_anonymous_people_are_sent_to_the_login(client: Client) -> None:
    assert client.get(URL).status_code == 302
    assert client.get(f"{URL}export/").status_code == 302


def test_every_promotion_is_in_exactly_one_tab(approver: User) -> None:
    mine = PromotionFactory(requester=approver)
    needs_me = PromotionFactory(gates=["fail"])
    asked = PromotionFactory(state=PromotionState.CHANGES_REQUESTED)
    rolling = PromotionFactory(state=PromotionState.APPROVED)
    approved = PromotionFactory()
    ReviewFactory(promotion=approved, reviewer=approver, decision="approve")
    decided = [
        PromotionFactory(state=state)
        for state in PromotionState
        if state not in ("open", "changes_requested", "approved")
    ]
    queue = queries.queue(approver, Promotion.objects.all())
    assert set(queue.rows("needs-me")) == {needs_me}
    assert set(queue.rows("mine")) == {mine}
    assert set(queue.rows("waiting")) == {asked, rolling, approved}
    assert set(queue.rows("decided")) == set(decided)
    assert queue.rows("all").count() == queue.counts["all"] == Promotion.objects.count()
    for tab, count in queue.counts.items():
        assert queue.rows(tab).count() == count


def test_a_voided_approval_puts_it_back_on_the_approvers_desk(approver: User) -> None:
    promotion = PromotionFactory()
    ReviewFactory(
        promotion=promotion,
        reviewer=approver,
        decision="approve",
        void_reason="The evidence changed after this approval.",
    )
    queue = queries.queue(approver, Promotion.objects.all())
    assert set(queue.rows("needs-me")) == {promotion}


@pytest.mark.parametrize("role", ["viewer", "requester", "deployer", "auditor", "administrator"])
def test_nothing_waits_for_people_who_may_not_decide(role: str) -> None:
    PromotionFactory()
    queue = queries.queue(UserFactory(roles=[role]), Promotion.objects.all())
    assert queue.counts["needs-me"] == 0


def test_the_first_tab_is_where_work_waits(browser: Browser, approver: User) -> None:
    waiting = PromotionFactory()
    decided = PromotionFactory(state=PromotionState.REJECTED)
    assert _shown(browser(approver).get(URL)) == {waiting.pk}
    viewer = UserFactory(roles=["viewer"])
    assert _shown(browser(viewer).get(URL)) == {waiting.pk, decided.pk}


def test_the_search_is_in_the_url(browser: Browser, approver: User) -> None:
    churn = PromotionFactory(entry=EntryFactory(model=ModelFactory(name="churn")))
    PromotionFactory(entry=EntryFactory(model=ModelFactory(name="upsell")))
    client = browser(approver)
    response = client.get(URL, {"q": "is:open model:churn to:staging"})
    assert _shown(response) == {churn.pk}
    assert 'value="is:open model:churn to:staging"' in response.content.decode()
    wrong = client.get(URL, {"q": "weather:fine"})
    assert _shown(wrong) == set()
    assert "is no filter" in wrong.content.decode()


def test_risk_and_reviewers_are_searched(browser: Browser, approver: User, requester: User) -> None:
    risky = PromotionFactory(risk="high")
    PromotionFactory(risk="low")
    asked = PromotionFactory(risk="low")
    ReviewAssignment.objects.create(promotion=asked, person=approver, assigned_by=requester)
    client = browser(approver)
    assert _shown(client.get(URL, {"q": "risk:high"})) == {risky.pk}
    assert "High risk" in client.get(URL, {"q": "risk:high"}).content.decode()
    assert _shown(client.get(URL, {"q": f"reviewer:{approver.username}"})) == {asked.pk}
    assert "risk:huge" in client.get(URL, {"q": "risk:huge"}).content.decode()


def test_a_preview_beside_the_list(browser: Browser, approver: User) -> None:
    promotion = PromotionFactory(
        gates=["pass", "fail"], risk="high", risk_reasons=["Not passed: gate_2."]
    )
    client = browser(approver)
    link = f"preview={promotion.pk}"
    assert link in client.get(URL).content.decode()
    headers = {"HX-Request": "true", "HX-Target": "preview"}
    part = client.get(URL, {"preview": promotion.pk}, headers=headers).content.decode()
    assert "<html" not in part and 'id="preview"' in part
    assert "Not passed: gate_2." in part and "1 of 2 gates failed" in part
    whole = client.get(URL, {"preview": promotion.pk}).content.decode()
    assert "<html" in whole and "Not passed: gate_2." in whole


@pytest.mark.parametrize("key", ["", "x", "-1", "0", "9" * 30])
def test_an_unknown_preview_is_empty(browser: Browser, approver: User, key: str) -> None:
    response = browser(approver).get(URL, {"preview": key})
    assert response.status_code == 200
    assert response.context["preview"] is None


def test_the_two_empty_states_differ(browser: Browser, approver: User) -> None:
    client = browser(approver)
    nothing_yet = client.get(URL).content.decode()
    nothing_fits = client.get(URL, {"q": "model:none"}).content.decode()
    assert "Clear" not in nothing_yet
    assert "Clear" in nothing_fits


def test_htmx_gets_only_the_rows(browser: Browser, approver: User) -> None:
    PromotionFactory()
    headers = {"HX-Request": "true", "HX-Target": "results"}
    part = browser(approver).get(URL, headers=headers).content.decode()
    assert "<html" not in part and "development" in part.lower()


def test_new_requests_are_announced_and_rows_do_not_jump(browser: Browser, approver: User) -> None:
    PromotionFactory()
    client = browser(approver)
    page = client.get(URL, {"q": "is:open"}).content.decode()
    found = re.search(r'id="news"[^>]*hx-get="([^"]+)"', page)
    assert found
    address = html.unescape(found[1])
    headers = {"HX-Request": "true", "HX-Target": "news"}
    nothing = client.get(address, headers=headers).content.decode()
    assert 'id="news"' in nothing and "new request" not in nothing
    PromotionFactory()
    PromotionFactory(state=PromotionState.REJECTED)
    part = client.get(address, headers=headers).content.decode()
    assert "1 new request<" in part
    assert "<html" not in part and 'id="results"' not in part


@pytest.mark.parametrize("seen", ["", "x", "-1", "9" * 30])
def test_a_forged_news_address_is_harmless(browser: Browser, approver: User, seen: str) -> None:
    PromotionFactory()
    headers = {"HX-Request": "true", "HX-Target": "news"}
    assert browser(approver).get(URL, {"seen": seen}, headers=headers).status_code == 200


def test_pages(browser: Browser, approver: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("registry.views.queue.ROWS_A_PAGE", 2)
    promotions = [PromotionFactory() for _ in range(3)]
    client = browser(approver)
    assert _shown(client.get(URL)) == {promotions[0].pk, promotions[1].pk}
    onward = {"before": str(promotions[1].pk)}
    assert _shown(client.get(URL, onward)) == {promotions[2].pk}
    assert f"before={promotions[1].pk}" in client.get(URL).content.decode()
    newest = client.get(URL, {"tab": "all"})
    assert _shown(newest) == {promotions[2].pk, promotions[1].pk}
    assert f"before={promotions[1].pk}" in newest.content.decode()
    assert client.get(URL, {"after": "nonsense"}).status_code == 200


def test_the_export_is_exactly_the_present_filter(browser: Browser, approver: User) -> None:
    wanted = PromotionFactory(
        entry=EntryFactory(model=ModelFactory(name="churn")),
        reason='=HYPERLINK("http://evil")',
        gates=["pass", "fail"],
    )
    PromotionFactory()
    response = browser(approver).get(f"{URL}export/", {"q": "model:churn"})
    assert response["Content-Type"].startswith("text/csv")
    assert re.search(r"attachment; .*promotions\.csv", response["Content-Disposition"])
    (row,) = csv.DictReader(io.StringIO(response.getvalue().decode()))
    assert row["promotion"] == str(wanted.pk)
    assert (row["model"], row["gates passed"], row["worst gate"]) == ("churn", "1", "fail")
    assert row["reason"] == '\'=HYPERLINK("http://evil")'
    assert row["address"].endswith(wanted.get_absolute_url())


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_no_cell_starts_a_formula(browser: Browser, approver: User, start: str) -> None:
    PromotionFactory(reason=f"{start}cmd|' /C calc'!A0")
    text = browser(approver).get(f"{URL}export/").getvalue().decode()
    for row in list(csv.reader(io.StringIO(text, newline="")))[1:]:
        assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r")) for cell in row)


def test_an_export_of_a_wrong_search_is_refused(browser: Browser, approver: User) -> None:
    response = browser(approver).get(f"{URL}export/", {"q": "weather:fine"})
    assert response.status_code == 400
    assert b"is no filter" in response.content


@pytest.mark.parametrize("tab", ["needs-me", "all"])
def test_queries_do_not_grow(
    browser: Browser, approver: User, tab: str, counting: None, django_assert_num_queries: Any
) -> None:
    client = browser(approver)
    for _ in range(2):
        for _ in range(3):
            PromotionFactory(gates=["pass", "fail"])
        with django_assert_num_queries(SESSION + 4):
            client.get(URL, {"tab": tab})
