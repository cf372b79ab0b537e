"""What serves where, the gateways, and the list of all deployments."""

from __future__ import annotations

import csv
import io
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from deployments.models import Deployment
from tests.factories.deployments import (
    DeploymentFactory,
    GatewayInstanceFactory,
    TrafficMinuteFactory,
)
from tests.factories.registry import EntryFactory

pytestmark = pytest.mark.django_db


def target(name: str) -> dict[str, str]:
    return {"HTTP_HX_REQUEST": "true", "HTTP_HX_TARGET": name}


def test_without_a_login_or_a_role_nothing_is_shown(
    client: Client, browser: Any, people: Any
) -> None:
    assert client.get("/deployments/").status_code == 302
    assert browser(people.outsider).get("/deployments/").status_code == 403


def test_an_empty_board_says_what_to_do_next(viewer: Client) -> None:
    text = viewer.get("/deployments/").content.decode()
    assert "Nothing is deployed" in text
    assert "No gateway" in text
    assert 'hx-trigger="every 5s"' not in text


def test_the_board_shows_measured_traffic(viewer: Client, champion: Deployment) -> None:
    entry = EntryFactory(model=champion.entry.model, stage="shadow")
    shadow = DeploymentFactory(entry=entry, strategy="shadow")
    TrafficMinuteFactory(deployment=champion, durations=(2.0,) * 98 + (40.0,) * 2, errors=2)
    TrafficMinuteFactory(deployment=shadow, durations=(3.0,) * 50)
    page = viewer.get("/deployments/")
    (row,) = page.context["board"]
    serving, warm = row.production
    assert serving.deployment == champion
    assert serving.traffic.error_rate == 0.02
    assert serving.traffic.p99 == pytest.approx(40, rel=0.01)
    assert serving.share == 1.0
    assert warm.share == 0.0
    assert row.shadow[0].share == 0.5
    assert 'hx-trigger="every 5s"' in page.content.decode()


def test_traffic_of_earlier_is_not_called_live(viewer: Client, champion: Deployment) -> None:
    TrafficMinuteFactory(deployment=champion, minutes_ago=40)
    (row,) = viewer.get("/deployments/").context["board"]
    assert row.production[0].traffic.requests == 0
    assert row.production[0].traffic.p99 is None


def test_a_gateway_that_went_silent_is_called_silent(viewer: Client) -> None:
    GatewayInstanceFactory(instance="fresh")
    GatewayInstanceFactory(instance="gone", seen_at=timezone.now() - timedelta(minutes=5))
    page = viewer.get("/deployments/")
    answers = {each.row.instance: each.answers for each in page.context["instances"]}
    assert answers == {"fresh": True, "gone": False}
    assert "1 of 2 seen lately answers" in page.content.decode()


@pytest.mark.parametrize("name", ["board", "results"])
def test_htmx_gets_one_part(viewer: Client, champion: Deployment, name: str) -> None:
    part = viewer.get("/deployments/", **target(name)).content.decode()
    assert part.lstrip().startswith(f'<div id="{name}"')
    assert "<html" not in part


@pytest.mark.parametrize("models", [1, 6])
def test_the_page_takes_few_queries(
    viewer: Client, models: int, django_assert_max_num_queries: Any
) -> None:
    for _ in range(models):
        TrafficMinuteFactory()
    with django_assert_max_num_queries(8):
        viewer.get("/deployments/")


def test_the_list_is_filtered_and_exported_alike(viewer: Client) -> None:
    DeploymentFactory(status="failed", rollback_reason="@cmd")
    DeploymentFactory()
    query = {"status": "failed"}
    page = viewer.get("/deployments/", query)
    assert [each.status for each in page.context["page"]] == ["failed"]
    answer = viewer.get("/deployments/export/", query)
    rows = list(csv.DictReader(io.StringIO(b"".join(answer.streaming_content).decode())))
    assert [row["rollback reason"] for row in rows] == ["'@cmd"]


def test_a_wrong_filter_is_named(viewer: Client) -> None:
    assert "lost" in viewer.get("/deployments/", {"status": "lost"}).content.decode()
    assert viewer.get("/deployments/export/", {"status": "lost"}).status_code == 400


def test_filters_that_hide_everything_can_be_cleared(viewer: Client) -> None:
    DeploymentFactory()
    assert "Clear filters" in viewer.get("/deployments/", {"text": "zebra"}).content.decode()
