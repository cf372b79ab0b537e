"""The frame of the pages in a real browser: policy, contrast, width, keys, theme, live parts."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.db import transaction
from django.utils import timezone
from playwright.sync_api import Browser, Page, expect, sync_playwright

from e2i_site.core.roles import Role
from e2i_site.jobs.models import Job, JobState
from e2i_site.trail.record import record
from tests.conftest import PASSWORD

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
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
def site(
    transactional_db: None, live_server: Any, people: SimpleNamespace, browser: Browser
) -> Iterator[SimpleNamespace]:
    """A page on which the approver is signed in, and everything the browser complained of."""
    context = browser.new_context(base_url=live_server.url, color_scheme="light")
    page = context.new_page()
    complaints: list[str] = []
    page.on(
        "console",
        lambda said: complaints.append(said.text) if said.type in ("error", "warning") else None,
    )
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto("/accounts/login/")
    page.get_by_label("Username").fill("approver")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Home", level=1)).to_be_visible()
    url = live_server.url
    yield SimpleNamespace(page=page, complaints=complaints, people=people, url=url)
    context.close()


def job(**fields: Any) -> Job:
    now = timezone.now()
    with transaction.atomic():
        made = Job.objects.create(
            kind="audit.run",
            state=JobState.RUNNING,
            run_after=now,
            started_at=now,
            request_id="11111111-1111-4111-8111-111111111111",
            lease_token="22222222-2222-4222-8222-222222222222",
            lease_expires_at=now + timedelta(hours=1),
            **fields,
        )
        record("jobs.job.cancelled", actor=None, subject=made, reason="As an example.")
    return made


def test_the_chosen_theme_is_kept(site: SimpleNamespace) -> None:
    page: Page = site.page
    root = page.locator("html")
    switch = page.get_by_role("button", name="Theme:")
    expect(switch).to_have_text("Theme: system")
    switch.click()
    expect(root).to_have_attribute("data-bs-theme", "light")
    switch.click()
    expect(root).to_have_attribute("data-bs-theme", "dark")
    page.goto("/trail/")
    expect(root).to_have_attribute("data-bs-theme", "dark")
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert background == "rgb(14, 17, 22)"
    page.get_by_role("button", name="Theme:").click()
    assert root.get_attribute("data-bs-theme") is None


def test_keys_go_move_open_and_can_be_turned_off(site: SimpleNamespace) -> None:
    job()
    page: Page = site.page
    page.keyboard.press("g")
    page.keyboard.press("l")
    expect(page).to_have_url(page.url.split("/")[0] + "//" + page.url.split("/")[2] + "/trail/")
    page.keyboard.press("/")
    expect(page.get_by_label("Search")).to_be_focused()
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    expect(page.locator("tr.at")).to_have_count(1)
    page.keyboard.press("Enter")
    expect(page.get_by_text("The entry fits the chain.")).to_be_visible()
    page.keyboard.press("?")
    keys = page.get_by_role("dialog", name="Keys")
    expect(keys).to_be_visible()
    keys.get_by_label("Turn single-key shortcuts off").check()
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    expect(keys).not_to_be_visible()


def test_filters_change_the_list_and_the_address_as_one_types(site: SimpleNamespace) -> None:
    job()
    site.people.outsider.groups.add(Group.objects.get(name=Role.VIEWER))
    page: Page = site.page
    page.goto("/trail/")
    rows = page.locator("#results tbody tr")
    before = rows.count()
    page.get_by_label("Search").fill("example")
    expect(rows).to_have_count(1)
    assert before > 1
    assert "q=example" in page.url
    page.reload()
    expect(rows).to_have_count(1)


def test_a_job_is_followed_to_its_end(site: SimpleNamespace) -> None:
    made = job(phase="fold 1", done=1, total=5)
    page: Page = site.page
    page.goto(f"/jobs/{made.pk}/")
    expect(page.get_by_text("fold 1")).to_be_visible()
    Job.objects.filter(pk=made.pk).update(phase="fold 4", done=4)
    expect(page.get_by_text("fold 4")).to_be_visible()
    Job.objects.filter(pk=made.pk).update(
        state=JobState.SUCCEEDED, finished_at=timezone.now(), lease_token=None
    )
    expect(page.locator("#progress[hx-trigger]")).to_have_count(0)
    assert not site.complaints


def test_the_keyboard_keeps_its_place_in_a_list_that_is_drawn_anew(site: SimpleNamespace) -> None:
    made = job(phase="fold 1", done=1, total=5)
    page: Page = site.page
    page.goto("/jobs/")
    page.keyboard.press("j")
    expect(page.locator("tr.at")).to_have_count(1)
    Job.objects.filter(pk=made.pk).update(phase="fold 4", done=4)
    expect(page.get_by_text("fold 4")).to_be_visible()
    expect(page.locator("tr.at")).to_have_count(1)
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{site.url}/jobs/{made.pk}/")


def test_a_failed_request_is_told(site: SimpleNamespace) -> None:
    page: Page = site.page
    page.goto("/trail/")
    page.route("**/trail/?*", lambda route: route.fulfill(status=502, body="bad gateway"))
    page.get_by_label("Search").fill("x")
    expect(page.get_by_text("The server answered 502.")).to_be_visible()


def test_without_scripts_everything_can_be_read_and_filtered(
    site: SimpleNamespace, browser: Browser
) -> None:
    job()
    state = site.page.context.storage_state()
    origin = "/".join(site.page.url.split("/")[:3])
    context = browser.new_context(base_url=origin, storage_state=state, java_script_enabled=False)
    page = context.new_page()
    page.goto("/trail/")
    page.get_by_label("Search").fill("example")
    page.get_by_role("button", name="Filter").click()
    expect(page.locator("#results tbody tr")).to_have_count(1)
    expect(page.locator(".needs-js").first).not_to_be_visible()
    context.close()
