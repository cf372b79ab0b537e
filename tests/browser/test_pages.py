"""Every main page in a real browser: policy, console, contrast, width, keys."""

from __future__ import annotations

from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.browser.conftest import Open
from tests.factories.world import a_row_in_each

pytestmark = [pytest.mark.browser, pytest.mark.timeout(170)]
SERIOUS = ("serious", "critical")
# Between them these have every component and every plot.
MAIN = (
    "/",
    "/training/",
    "/training/experiments/{experiments.experiment_id}/train/",
    "/training/selections/{selections.pk}/",
    "/training/runs/{training-runs.pk}/",
    "/registry/",
    "/registry/models/{models.name}/",
    "/registry/promotions/",
    "/registry/promotions/{promotions.pk}/",
    "/registry/policies/edit/?from=default&version=1",
    "/deployments/",
    "/deployments/{deployments.pk}/",
    "/audit/",
    "/audit/findings/{findings.pk}/",
    "/trail/",
    "/jobs/{jobs.pk}/",
)
OTHERS = (
    "/training/experiments/",
    "/training/experiments/new/",
    "/training/experiments/{experiments.experiment_id}/",
    "/registry/models/{models.name}/versions/1/",
    "/registry/promotions/new/?model={models.name}&version=1",
    "/registry/policies/",
    "/registry/policies/default/1/",
    "/registry/policies/default/compare/",
    "/registry/models/{models.name}/compare/?a=1&b=2&all=1",
    "/audit/findings/",
    "/audit/findings/{findings.pk}/waive/",
    "/audit/runs/{audit-runs.pk}/",
    "/trail/{trail.pk}/",
    "/trail/verification/",
    "/jobs/",
    "/accounts/profile/",
    "/registry/models/{models.name}/versions/2/stop/",
    "/registry/promotions/{promotions.pk}/break-glass/",
    "/notifications/",
    "/notifications/preferences/",
)


@pytest.fixture
def paths(transactional_db: None) -> list[str]:
    world = a_row_in_each()
    return [path.format(**world) for path in MAIN + OTHERS]


def found_by_axe(page: Page, **options: Any) -> list[str]:
    """What is serious. Axe puts styles of its own into the page, so ask for complaints before."""
    options = {"preload": False, "resultTypes": ["violations"], **options}
    violations = Axe().run(page, options=options).response["violations"]
    return [
        f"{page.url} {each['id']}: {node['target']} {node['failureSummary']}"
        for each in violations
        for node in each["nodes"][:1]
        if each["impact"] in SERIOUS
    ]


def test_no_page_breaks_a_rule(
    paths: list[str], open_page: Open, people: Any, complaints: list[str]
) -> None:
    """One visit a page: narrow, wide, and the main ones in the dark."""
    page = open_page(people.administrator)
    found: list[str] = []
    for index, path in enumerate(paths):
        page.set_viewport_size({"width": 360, "height": 740})
        response = page.goto(path)
        found += [] if response and response.status == 200 else [f"{path}: {response}"]
        wide = page.evaluate("document.documentElement.scrollWidth")
        found += [f"{path} is {wide} px wide on 360 px"] if wide > 360 else []
        found += complaints
        page.set_viewport_size({"width": 1280, "height": 900})
        found += found_by_axe(page)
        if index < len(MAIN):
            page.emulate_media(color_scheme="dark")
            page.evaluate("Promise.allSettled(document.getAnimations().map(each => each.finished))")
            found += found_by_axe(page, runOnly=["color-contrast"])
            page.emulate_media(color_scheme="light")
        complaints.clear()
    assert not found, "\n".join(found)


def test_the_login_and_the_api_documents_keep_the_policy(
    open_page: Open, people: Any, complaints: list[str]
) -> None:
    page = open_page()
    page.goto("/accounts/login/")
    assert complaints + found_by_axe(page) == []
    page = open_page(people.viewer)
    complaints.clear()
    page.goto("/api/docs/")
    expect(page.get_by_role("heading", name="E2I")).to_be_visible(timeout=20_000)
    expect(page.get_by_text("/api/v1/promotions/{id}/review/")).to_be_visible(timeout=20_000)
    assert complaints == []


def test_keys_help_and_lead(open_page: Open, people: Any, transactional_db: None) -> None:
    page = open_page(people.viewer)
    page.goto("/")
    page.keyboard.press("?")
    keys = page.get_by_role("dialog", name="Keys")
    expect(keys).to_be_visible()
    expect(keys).to_contain_text("Promotions")
    page.keyboard.press("Escape")
    expect(keys).not_to_be_visible()
    page.keyboard.press("g")
    page.keyboard.press("p")
    expect(page.get_by_role("heading", name="Promotions", level=1)).to_be_visible()
    assert page.url.endswith("/registry/promotions/")
