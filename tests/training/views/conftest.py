"""People at their browsers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

Browser = Callable[[User], Client]


@pytest.fixture(autouse=True)
def at_rest(quiet_broker: None, known_status: None) -> None:
    """Jobs wait, and the state of the site is known."""


@pytest.fixture
def viewer(browser: Browser, people: Any) -> Client:
    return browser(people.viewer)


@pytest.fixture
def requester(browser: Browser, people: Any) -> Client:
    return browser(people.requester)
