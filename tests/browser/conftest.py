"""One Chromium for the folder, people at it, and rows to look at."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.conftest import PASSWORD

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
Open = Callable[..., Page]


@pytest.fixture(scope="package")
def browser(chromium: str) -> Iterator[Browser]:
    # Playwright's loop runs in this thread; the ORM is used between its calls, never inside.
    with pytest.MonkeyPatch.context() as patched, sync_playwright() as playwright:
        patched.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
        launched = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        yield launched
        launched.close()


@pytest.fixture(autouse=True)
def nobody_works(quiet_broker: None) -> None:
    """Jobs wait."""


@pytest.fixture
def complaints() -> list[str]:
    """What browsers complained of: errors, warnings, and breaches of the content policy."""
    return []


@pytest.fixture
def open_page(
    transactional_db: None, live_server: Any, browser: Browser, complaints: list[str]
) -> Iterator[Open]:
    """`open_page(user=None, **options of the context)`: a page of a browser of one's own."""
    contexts = []

    def start(user: User | None = None, **options: Any) -> Page:
        options = {"color_scheme": "light", "base_url": live_server.url, **options}
        context = browser.new_context(**options)
        contexts.append(context)
        if user is not None:
            client = Client()
            client.force_login(user)
            cookie = client.cookies["sessionid"].value
            context.add_cookies([{"name": "sessionid", "value": cookie, "url": live_server.url}])
        page = context.new_page()
        page.set_default_timeout(10_000)
        page.on("console", lambda said: _note(said, complaints))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        return page

    yield start
    for context in contexts:
        context.close()


def _note(said: Any, complaints: list[str]) -> None:
    if "htmx:sendAbort" in said.text and "htmx:afterRequest" in "".join(complaints[-1:]):
        # A newer request took its place, as it should; htmx complains in two lines.
        complaints.pop()
    elif said.type in ("error", "warning"):
        complaints.append(f"{said.location['url']}: {said.text}")


def sign_in(page: Page, user: User) -> None:
    """As people do, through the form."""
    page.goto("/accounts/login/")
    page.get_by_label("Username").fill(user.username)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Home", level=1)).to_be_visible()
