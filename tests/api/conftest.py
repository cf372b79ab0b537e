"""Callers of the API, and a world with rows in every collection."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.cache import cache
from knox.models import AuthToken
from rest_framework.test import APIClient

from tests.factories.world import a_row_in_each

Caller = Callable[[User], APIClient]


@pytest.fixture(autouse=True)
def nobody_works(quiet_broker: None) -> None:
    """Jobs wait."""


@pytest.fixture(autouse=True)
def unhurried() -> None:
    """Nobody has called yet, as far as the throttle knows."""
    cache.clear()


@pytest.fixture
def as_person() -> Caller:
    def sign_in(user: User) -> APIClient:
        client = APIClient(raise_request_exception=False)
        client.force_login(user)
        return client

    return sign_in


@pytest.fixture
def as_service() -> Caller:
    def sign_in(user: User) -> APIClient:
        client = APIClient(raise_request_exception=False)
        client.credentials(HTTP_AUTHORIZATION=f"Token {AuthToken.objects.create(user)[1]}")
        return client

    return sign_in


KEYS = {"experiments": "experiment_id", "models": "name"}
COLLECTIONS = (
    "experiments",
    "selections",
    "training-runs",
    "models",
    "versions",
    "promotions",
    "policies",
    "deployments",
    "shadow-windows",
    "audit-runs",
    "findings",
    "trail",
    "jobs",
)


def address(collection: str, row: Any, act: str = "") -> str:
    key = getattr(row, KEYS.get(collection, "pk"))
    return f"/api/v1/{collection}/{key}/" + (f"{act}/" if act else "")


@pytest.fixture
def world(db: None, people: SimpleNamespace) -> dict[str, Any]:
    return a_row_in_each()
