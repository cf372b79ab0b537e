"""Writing a policy in a real browser: checked as one types, replayed, published."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from registry.actions.publish_policy import publish_policy
from registry.models import PromotionPolicy
from tests.browser.conftest import Open
from tests.browser.test_pages import found_by_axe
from tests.conftest import PASSWORD
from tests.factories.registry import EntryFactory, ModelFactory, PromotionFactory

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]
SOURCE = """\
name: strict
models: ["churn*"]
stages:
  staging:
    gates: []
    approvals: {count: 1, roles: [approver]}
"""


def test_a_policy_is_checked_replayed_and_published(
    transactional_db: None, people: SimpleNamespace, open_page: Open, complaints: list[str]
) -> None:
    policy = publish_policy(source=SOURCE, reason="Why", actor=people.administrator)
    past = PromotionFactory(
        entry=EntryFactory(model=ModelFactory(name="churn")), policy=policy, state="applied",
        decided_at=timezone.now(),
    )  # fmt: skip
    page = open_page(people.administrator, viewport={"width": 360, "height": 740})
    page.goto("/registry/policies/strict/1/")
    with page.expect_navigation():  # to the end: typing is noticed once the scripts are there
        page.get_by_role("link", name="Edit as a new version").click()
    document = page.get_by_label("Document (YAML)")
    document.fill(SOURCE.replace("approver", "king"))
    expect(page.get_by_text("Line 6, column 27")).to_be_visible()
    page.get_by_role("button", name="Go to line 6").click()
    selected = "getSelection().toString()"
    assert page.evaluate(selected) == "    approvals: {count: 1, roles: [king]}"
    document.fill(SOURCE.replace("count: 1", "count: 2"))
    expect(page.get_by_text("It can be published.")).to_be_visible()
    expect(page.get_by_text("2 approvals by an approver.")).to_be_visible()
    page.get_by_role("button", name="Replay over past promotions").click()
    expect(page.get_by_role("link", name=f"#{past.pk} {past}")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert complaints == []
    assert found_by_axe(page) == []
    page.get_by_label("Why does it change?").fill("Two see more.")
    page.get_by_label("Your password").fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Policy strict v2")).to_be_visible()
    assert PromotionPolicy.objects.newest("strict").reason == "Two see more."  # type: ignore[union-attr]
