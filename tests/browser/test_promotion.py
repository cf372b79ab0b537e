"""A promotion from request to stage, as its people see it."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from playwright.sync_api import Page, expect

from registry.actions.request_promotion import request_promotion
from registry.choices import PromotionState, Stage
from registry.models import Promotion, RegistryEntry
from tests.browser.conftest import Open, sign_in
from tests.factories.people import PASSWORD
from tests.factories.registry import STAGES, EntryFactory, ModelFactory, PolicyFactory

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]


@pytest.fixture
def entry(transactional_db: None) -> RegistryEntry:
    """Version 2, in development, of a model whose version 1 is in production."""
    PolicyFactory(name="light", stages=STAGES)
    model = ModelFactory(name="churn", policy_name="light")
    EntryFactory(model=model, stage=Stage.PRODUCTION)
    return EntryFactory(model=model)


@pytest.fixture
def promotion(entry: RegistryEntry, people: SimpleNamespace) -> Promotion:
    return request_promotion(
        entry=entry, to_stage="staging", reason="Better.", requester=people.requester
    )


def decide(page: Page, decision: str, reason: str) -> None:
    page.get_by_role("radio", name=decision).check()
    page.get_by_label("Reason").fill(reason)
    page.get_by_label("Your password").fill(PASSWORD)
    page.get_by_role("button", name="Put on record").click()


def test_from_request_to_approval(
    entry: RegistryEntry, people: SimpleNamespace, open_page: Open, complaints: list[str]
) -> None:
    asking = open_page()
    sign_in(asking, people.requester)
    asking.goto(entry.get_absolute_url())
    asking.get_by_role("link", name="staging").first.click()
    expect(asking.get_by_role("heading", name="What the gates say now")).to_be_visible()
    asking.get_by_label("Why should it move?").fill("Better calibrated on last month's rows.")
    asking.get_by_role("button", name="Request", exact=True).click()
    expect(asking.get_by_text("Requested; its gates are evaluated below.")).to_be_visible()
    expect(asking.get_by_text("You requested it; somebody else decides.").first).to_be_visible()

    deciding = open_page()
    sign_in(deciding, people.reviewer)
    deciding.get_by_role("link", name="Promotions").first.click()
    deciding.get_by_role("link", name="churn v2").first.click()
    expect(deciding.get_by_text("Better calibrated on last month's rows.").first).to_be_visible()
    decide(deciding, "Approve", "The calibration convinced me.")
    expect(deciding.get_by_text("Done: churn v2 went from development to staging.")).to_be_visible()

    asking.reload()
    expect(asking.get_by_text("Done: churn v2 went from development to staging.")).to_be_visible()
    expect(asking.get_by_text("The calibration convinced me.").first).to_be_visible()
    asking.goto(entry.get_absolute_url())
    expect(asking.locator("header, .page-head").get_by_text("Staging").first).to_be_visible()
    asking.goto("/trail/?event=registry.version.stage_changed")
    asking.locator("#results tbody tr").get_by_role("link").first.click()
    expect(asking.get_by_text("The entry fits the chain.")).to_be_visible()
    entry.refresh_from_db()
    assert entry.stage == Stage.STAGING
    assert complaints == []


def test_the_second_of_two_reviewers_sees_what_changed(
    promotion: Promotion, people: SimpleNamespace, open_page: Open
) -> None:
    first, second = open_page(people.reviewer), open_page(people.approver)
    for page in (first, second):
        page.goto(promotion.get_absolute_url())
    decide(first, "Request changes", "Say which month the rows are of.")
    expect(first.get_by_text("Say which month the rows are of.").first).to_be_visible()
    decide(second, "Approve", "Fine with me.")
    conflict = second.locator("#conflict")
    expect(conflict).to_contain_text("Nothing was decided.")
    expect(conflict).to_contain_text("reviewer")
    expect(second.get_by_label("Reason")).to_have_value("Fine with me.")
    promotion.refresh_from_db()
    assert promotion.state == PromotionState.CHANGES_REQUESTED
    assert promotion.reviews.count() == 1


def test_who_comes_too_late_is_told_so(
    promotion: Promotion, people: SimpleNamespace, open_page: Open
) -> None:
    first, second = open_page(people.reviewer), open_page(people.approver)
    for page in (first, second):
        page.goto(promotion.get_absolute_url())
    decide(first, "Approve", "Better by every measure.")
    expect(first.get_by_text("Done: churn v2 went")).to_be_visible()
    decide(second, "Reject", "I doubt it.")
    expect(second.get_by_text("It is done; nothing to decide.").first).to_be_visible()
    promotion.refresh_from_db()
    assert (promotion.state, promotion.reviews.count()) == (PromotionState.APPLIED, 1)


def test_without_scripts_one_reads_and_decides(
    promotion: Promotion, people: SimpleNamespace, open_page: Open
) -> None:
    page = open_page(java_script_enabled=False)
    sign_in(page, people.reviewer)
    page.goto("/registry/promotions/")
    page.get_by_role("link", name="churn v2").first.click()
    expect(page.get_by_role("heading", name="Evidence")).to_be_visible()
    decide(page, "Approve", "Read on paper.")
    expect(page.get_by_text("Done: churn v2 went from development to staging.")).to_be_visible()
    page.goto("/trail/?q=churn")
    expect(page.locator("#results").get_by_text("Promotion approved").first).to_be_visible()
