"""Every page while MLflow is away: it is shown, asks MLflow nothing, and says since when."""

from __future__ import annotations

import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client
from django.utils import timezone

from e2i_site.jobs.breaker_store import DatabaseStore
from e2i_site.mlflow_connector import get_connector
from e2i_site.mlflow_connector.breaker import OPEN, BreakerData, Opening
from registry.models import SyncState
from tests.authorization.calls import path_of
from tests.authorization.routes import all_routes
from tests.authorization.test_table import expected
from tests.authorization.world import make_world

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]
ADMINISTRATOR = 8
#: Answers for machines, and the leave-taking of people.
NO_PAGES = ("api/", "admin/", "accounts/login", "healthz", "readyz", "metrics")


def pages() -> list[str]:
    """Routes that an administrator may GET."""
    found = [route for route, method in all_routes() if method == "GET"]
    cells = {route: expected(route, "GET") for route in found if not route.startswith(NO_PAGES)}
    return [route for route, allowed in cells.items() if allowed and allowed[ADMINISTRATOR] == "y"]


@pytest.fixture
def away(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nobody listens there, and that has been known for a while."""
    monkeypatch.setattr("e2i_site.jobs.tasks.run.apply_async", lambda *args, **kwargs: None)
    settings.MLFLOW_TRACKING_URI = "http://127.0.0.1:9"
    SyncState.objects.create(source="mlflow", succeeded_at=timezone.now())
    begun = time.time() - 600
    opening = Opening(begun, "Connection refused.")
    DatabaseStore().update(lambda _: BreakerData(OPEN, opened_at=begun, openings=(opening,)))
    cache.clear()
    yield
    cache.clear()  # no other test is to see that state


def test_every_page_is_there_without_mlflow(
    away: None, people: SimpleNamespace, client: Client
) -> None:
    world = make_world(people)
    client.force_login(people.administrator)
    calls = get_connector().breaker().calls
    shown = 0
    for route in pages():
        answer = client.get(path_of(route, world), follow=True)
        assert answer.status_code == 200, route
        if answer.streaming or b"<html" not in answer.content:
            continue  # a file, or a part of a page
        page = answer.content.decode()
        shown += 1
        assert "MLflow does not answer." in page, route
        assert "It stopped answering <time" in page, route
    assert shown > 50
    assert get_connector().breaker().calls == calls
