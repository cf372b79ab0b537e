"""The page that says how old what is shown can be."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client
from django.utils import timezone

from registry.models import SyncState
from registry.sync.cursor import Cursor
from registry.views.mirror import bounds
from tests.factories.registry import ModelFactory
from training.models import MlflowExperiment
from training.sync import Counts

pytestmark = pytest.mark.django_db
READ = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def viewer(client: Client, people: Any) -> Client:
    cache.clear()
    client.force_login(people.viewer)
    return client


def test_before_the_first_sync_it_promises_nothing(viewer: Client) -> None:
    page = viewer.get("/registry/mirror/").content.decode()
    assert "MLflow has not been mirrored yet." in page
    assert page.count(">not read yet</") == 3
    assert [each.at for each in bounds(None)] == [None] * 3


def test_it_says_how_old_what_is_shown_can_be(
    viewer: Client, django_assert_max_num_queries: Any
) -> None:
    cursor = Cursor(
        "http://mlflow", since=READ, covered_since=READ - timedelta(hours=5), registry_at=READ
    )
    problem = "Runs of experiment 7: MLflow answered with nothing."
    state = SyncState.objects.create(
        cursor=cursor.as_dict(),
        succeeded_at=timezone.now(),
        error=problem,
        counts={"problems": [problem], "runs": Counts(seen=1234).as_dict()},
    )
    assert [each.at for each in bounds(state)] == [READ, READ, READ - timedelta(hours=5)]
    ModelFactory(name="secret", hidden_since=READ)
    MlflowExperiment.objects.create(mlflow_id="7", name="Theirs", hidden_since=READ)
    with django_assert_max_num_queries(10):
        page = viewer.get("/registry/mirror/").content.decode()
    for words in (
        "could not read everything",
        problem,
        "1,234",
        "secret",
        "Theirs",
        "07:00",
        "?q=hidden:yes",
    ):
        assert words in page, words
