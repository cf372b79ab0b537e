"""A canary on its pages: what it shows and still needs, and holding it."""

from __future__ import annotations

import pytest
from django.test import Client

from deployments.models import Canary, Deployment
from deployments.views.ladder import ladder
from tests.deployments.views.test_deployment import text_of
from tests.factories.deployments import CanaryFactory, TrafficMinuteFactory

pytestmark = pytest.mark.django_db
STEP = {
    "share": 5, "began": "2026-11-27T10:00:00+00:00", "ended": "2026-11-27T10:10:00+00:00",
    "requests": 100, "errors": 0, "p99_ms": 3.0,
}  # fmt: skip


def test_a_canary_shows_its_steps_and_what_is_missing(
    viewer: Client, deployer: Client, champion: Deployment
) -> None:
    canary = CanaryFactory(deployment__entry=champion.entry)
    TrafficMinuteFactory(deployment=canary.deployment, durations=(2.0,) * 40, errors=1)
    text = text_of(viewer, canary.deployment)
    assert "It answers 5 % of the callers." in text
    assert "40 of 100 requests and 2 of 10 minutes" in text
    assert [(stop.label, stop.state) for stop in ladder(canary.deployment)] == [
        ("Pending", "past"),
        ("Deploying", "past"),
        ("5 %", "now"),
        ("25 %", "later"),
        ("50 %", "later"),
        ("Active", "later"),
        ("Kept warm", "later"),
        ("Retired", "later"),
    ]
    assert "canary/pause" not in text
    assert "canary/pause" in text_of(deployer, canary.deployment)
    assert "Answers 5 %" in viewer.get("/deployments/").content.decode()
    assert "v2 5 %" in text, "its share as a mark in the charts"


def test_a_canary_is_paused_resumed_and_aborted_with_a_reason(
    deployer: Client, champion: Deployment
) -> None:
    canary = CanaryFactory(deployment__entry=champion.entry)
    place = canary.deployment.get_absolute_url()
    refused = deployer.post(f"{place}canary/pause/", {"reason": " "})
    assert refused.status_code == 400
    for act, state in (("pause", "paused"), ("resume", "running"), ("abort", "ended")):
        assert "What will happen" in text_of(deployer, canary.deployment, f"canary/{act}/")
        deployer.post(f"{place}canary/{act}/", {"reason": "Complaints."}, follow=True)
        canary.refresh_from_db()
        assert canary.state == state
    assert "Aborted: Complaints." in text_of(deployer, canary.deployment)
    late = deployer.post(f"{place}canary/pause/", {"reason": "Again."})
    assert "The canary is ended." in late.content.decode()
    assert deployer.get(f"{champion.get_absolute_url()}canary/pause/").status_code == 404


def test_the_ladder_of_a_canary_that_ended(champion: Deployment) -> None:
    canary = CanaryFactory(
        deployment__entry=champion.entry, deployment__status="failed",
        deployment__canary_share=0, state="ended", measured=[STEP],
    )  # fmt: skip
    stops = [(stop.label, stop.state) for stop in ladder(canary.deployment)]
    assert stops == [
        ("Pending", "past"), ("Deploying", "past"), ("5 %", "past"), ("Failed", "now"),
    ]  # fmt: skip
    Deployment.objects.filter(pk=champion.pk).update(strategy="canary")
    Canary.objects.filter(pk=canary.pk).update(
        deployment=champion, state="done", measured=[STEP] * 3
    )
    champion.refresh_from_db()
    stops = ladder(champion)
    assert [stop.label for stop in stops if stop.state == "now"] == ["Active"]
    assert [stop.state for stop in stops][:5] == ["past"] * 5
