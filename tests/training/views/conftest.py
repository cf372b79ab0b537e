"""People at their browsers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.cache import cache
from django.test import Client

from e2i_site.status import CACHE_KEY, site_status

Browser = Callable[[User], Client]


@pytest.fixture(autouse=True)
def quiet_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("e2i_site.jobs.tasks.run.apply_async", lambda *args, **kwargs: None)


@pytest.fixture(autouse=True)
def known_status(db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The state of the site is read for all pages together, every few seconds; not counted here."""
    monkeypatch.setattr("e2i_site.status.CACHE_SECONDS", 600)
    cache.delete(CACHE_KEY)
    site_status()
    yield
    cache.delete(CACHE_KEY)


@pytest.fixture
def browser(db: None) -> Browser:
    def login(user: User) -> Client:
        client = Client()
        client.force_login(user)
        return client

    return login


@pytest.fixture
def viewer(browser: Browser, people: Any) -> Client:
    return browser(people.viewer)


@pytest.fixture
def requester(browser: Browser, people: Any) -> Client:
    return browser(people.requester)
