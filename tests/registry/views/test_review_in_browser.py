"""The review in a real browser: keys, two people at once without scripts, width, axe."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from playwright.sync_api import Browser, Page, expect, sync_playwright

from registry.choices import PromotionState
from registry.models import Promotion, RegistryEntry, Review
from tests.core.test_frame_in_browser import ARGUMENTS
from tests.factories.people import PASSWORD, UserFactory

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]
Open = Callable[..., Page]


@pytest.fixture(scope="module")
def chrome(chromium: str) -> Iterator[Browser]:
    # Playwright's loop runs in this thread; the ORM is used between its calls, never inside.
    before = os.environ.get("DJANGO_ALLOW_ASYNC_UNSAFE")
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=chromium, args=list(ARGUMENTS))
        yield launched
        launched.close()
    if before is None:
        del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]


@pytest.fixture
def open_as(transactional_db: None, live_server: Any, chrome: Browser) -> Iterator[Open]:
    """`open_as(user, width=1400, java_script_enabled=True)`: a page signed in as `user`."""
    contexts = []

    def start(user: User, *, width: int = 1400, **options: Any) -> Page:
        context = chrome.new_context(
            base_url=live_server.url, viewport={"width": width, "height": 900}, **options
        )
        contexts.append(context)
        client = Client()
        client.force_login(user)
        cookie = client.cookies["sessionid"].value
        context.add_cookies([{"name": "sessionid", "value": cookie, "url": live_server.url}])
        return context.new_page()

    yield start
    for context in contexts:
        context.close()


def test_a_key_and_a_reason_decide(open_as: Open, promotion: Promotion, approver: User) -> None:
    page = open_as(approver)
    complaints: list[str] = []
    page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(promotion.get_absolute_url())
    page.get_by_label("Reject").check()
    page.keyboard.press("a")
    expect(page.get_by_label("Approve")).to_be_checked()
    page.keyboard.type("The calibration convinced me.")
    page.get_by_label("Your password").fill(PASSWORD)
    page.get_by_role("button", name="Put on record").click()
    expect(page.get_by_text("Done: churn v2 went from development to staging.")).to_be_visible()
    assert complaints == []
    review = Review.objects.get()
    assert (review.decision, review.reason) == ("approve", "The calibration convinced me.")


def test_a_name_completes_itself_after_an_at(
    open_as: Open, promotion: Promotion, approver: User
) -> None:
    for name in ("amina", "amos"):
        UserFactory(username=name, roles=["reviewer"])
    UserFactory(username="amber", roles=[])
    page = open_as(approver)
    asked: list[str] = []
    page.on("request", lambda sent: asked.append(sent.url))
    page.goto(promotion.get_absolute_url())
    reason = page.get_by_label("Reason")
    reason.press_sequentially("Too small, @am")
    expect(page.get_by_role("option")).to_have_count(2)
    reason.press("ArrowDown")
    reason.press("Enter")
    expect(reason).to_have_value("Too small, @amos ")
    expect(page.get_by_role("option")).to_have_count(0)
    reason.press_sequentially("or @ami")
    page.get_by_role("option", name="amina").click()
    expect(reason).to_have_value("Too small, @amos or @amina ")
    (last,) = {url for url in asked if url.endswith("=ami")}
    assert "small" not in last, "what is typed stays here"


def test_without_scripts_a_late_decision_is_not_taken(
    open_as: Open, promotion: Promotion, approver: User
) -> None:
    page = open_as(approver, java_script_enabled=False)
    page.goto(promotion.get_absolute_url())
    RegistryEntry.objects.filter(pk=promotion.entry_id).update(signature={"inputs": []})
    page.get_by_label("Reject").check()
    page.get_by_label("Your password").fill(PASSWORD)
    page.get_by_label("Reason").fill("Too few rows.")
    page.get_by_role("button", name="Put on record").click()
    expect(page.get_by_text("Nothing was decided.")).to_be_visible()
    expect(page.get_by_text("Signature: Passed → Failed.")).to_be_visible()
    expect(page.get_by_label("Reason")).to_have_value("Too few rows.")
    promotion.refresh_from_db()
    assert promotion.state == PromotionState.OPEN
    page.get_by_label("Reject").check()
    page.get_by_label("Your password").fill(PASSWORD)
    page.get_by_role("button", name="Put on record").click()
    expect(page.get_by_text("Rejected: Too few rows.").first).to_be_visible()
