"""One deployment: health, traffic against limits, the shadow window, the way back."""

from __future__ import annotations

import shlex
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from deployments.models import Deployment, GatewayInstance, ShadowWindow
from deployments.queries import series, total
from deployments.views.ladder import ladder
from deployments.views.snippet import snippet
from e2i_site.jobs.models import Job
from e2i_site.trail.models import TrailEntry
from tests.factories.deployments import (
    DeploymentFactory,
    GatewayInstanceFactory,
    ShadowLookFactory,
    TrafficMinuteFactory,
)
from tests.factories.registry import EntryFactory

pytestmark = pytest.mark.django_db


def target(name: str) -> dict[str, str]:
    return {"HTTP_HX_REQUEST": "true", "HTTP_HX_TARGET": name}


def text_of(client: Client, deployment: Deployment, query: str = "", **extra: str) -> str:
    return client.get(f"{deployment.get_absolute_url()}{query}", **extra).content.decode()


def test_a_serving_deployment_within_its_limits_is_called_good(
    viewer: Client, champion: Deployment
) -> None:
    TrafficMinuteFactory(deployment=champion, durations=(2.0,) * 100)
    page = viewer.get(champion.get_absolute_url())
    assert page.context["headline"][:2] == ("good", "It answers callers within its limits.")
    assert "limit of p99: 150 ms" in page.content.decode()


@pytest.mark.parametrize(
    ("traffic", "what"),
    [
        ({"durations": (2.0,) * 100, "errors": 4}, "errors"),
        ({"durations": (400.0,) * 100}, "latency"),
    ],
)
def test_one_over_its_limits_is_not(
    viewer: Client, champion: Deployment, traffic: dict[str, Any], what: str
) -> None:
    TrafficMinuteFactory(deployment=champion, **traffic)
    tone, words, _ = viewer.get(champion.get_absolute_url()).context["headline"]
    assert tone == "bad"
    assert words == f"It answers callers, with {what} over the limit."


def test_without_traffic_nothing_is_claimed(viewer: Client, champion: Deployment) -> None:
    page = viewer.get(champion.get_absolute_url())
    assert page.context["headline"][0] == "quiet"
    assert "No request in this time" in page.content.decode()


def test_without_a_gateway_nothing_is_called_good(viewer: Client, champion: Deployment) -> None:
    TrafficMinuteFactory(deployment=champion)
    GatewayInstance.objects.update(seen_at=timezone.now() - timedelta(minutes=5))
    tone, words, _ = viewer.get(champion.get_absolute_url()).context["headline"]
    assert (tone, words) == ("bad", "No gateway answers, so nothing reaches it.")


def test_failing_health_comes_first(viewer: Client, champion: Deployment) -> None:
    Deployment.objects.filter(pk=champion.pk).update(
        health_failures=2, health_detail="It answered 500."
    )
    TrafficMinuteFactory(deployment=champion)
    text = text_of(viewer, champion)
    assert "Health checks failed 2 times in a row." in text
    assert "It answered 500." in text


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ("pending", "It is being rolled out."),
        ("failed", "The roll-out failed"),
        ("rolled_back", "It was rolled back."),
        ("retired", "It is retired"),
        ("draining", "kept warm"),
    ],
)
def test_every_state_has_its_sentence(viewer: Client, status: str, words: str) -> None:
    deployment = DeploymentFactory(status=status, status_reason="Files differ.")
    assert words in text_of(viewer, deployment)
    assert [stop.state for stop in ladder(deployment)].count("now") == 1


def test_only_what_can_change_is_polled(viewer: Client, champion: Deployment) -> None:
    assert 'hx-trigger="every 5s"' in text_of(viewer, champion)
    ended = DeploymentFactory(status="retired")
    assert 'hx-trigger="every' not in text_of(viewer, ended)


@pytest.mark.parametrize("name", ["live", "charts"])
def test_htmx_gets_one_part(viewer: Client, champion: Deployment, name: str) -> None:
    TrafficMinuteFactory(deployment=champion)
    part = text_of(viewer, champion, "?range=6h", **target(name))
    assert part.lstrip().startswith(f'<div id="{name}"')
    assert "<html" not in part


def test_the_page_takes_few_queries(
    viewer: Client, champion: Deployment, django_assert_max_num_queries: Any
) -> None:
    for ago in range(5):
        TrafficMinuteFactory(deployment=champion, minutes_ago=ago)
    GatewayInstanceFactory()
    with django_assert_max_num_queries(10):
        viewer.get(champion.get_absolute_url())


def test_the_page_of_a_shadow_takes_few_queries(
    viewer: Client, shadow: Deployment, django_assert_max_num_queries: Any
) -> None:
    TrafficMinuteFactory(deployment=shadow)
    ShadowLookFactory(window=shadow.shadow_window)
    with django_assert_max_num_queries(10):
        viewer.get(shadow.get_absolute_url())


@pytest.mark.parametrize("range_", ["1h", "24h", "7d", "", "nonsense"])
def test_charts_have_their_numbers_in_a_table(
    viewer: Client, champion: Deployment, range_: str
) -> None:
    TrafficMinuteFactory(deployment=champion)
    page = viewer.get(champion.get_absolute_url(), {"range": range_})
    assert "Table of the same numbers" in page.content.decode()
    latency = page.context["charts"][0]
    assert len(latency.x) <= 74
    assert [limit.value for limit in latency.limits] == [150.0]


def test_a_roll_out_is_marked_on_the_charts(viewer: Client, champion: Deployment) -> None:
    TrafficMinuteFactory(deployment=champion)
    page = viewer.get(champion.get_absolute_url(), {"range": "24h"})
    assert [mark.label for mark in page.context["charts"][0].marks] == ["v2 active"]


def test_a_series_loses_no_request() -> None:
    deployment = DeploymentFactory()
    minutes = [TrafficMinuteFactory(deployment=deployment, minutes_ago=ago) for ago in (1, 50, 400)]
    until = timezone.now()
    for hours in (8, 24, 168):
        points = series(minutes, until - timedelta(hours=hours), until)
        assert sum(point.traffic.requests for point in points) == 9
        assert all(point.traffic.p99 is None for point in points if not point.traffic.requests)


def test_totals_of_nothing_are_unmeasured_not_zero() -> None:
    empty = total([], timedelta(minutes=15))
    assert (empty.error_rate, empty.p99, empty.disagreement_rate) == (None, None, None)


def test_gateways_say_whether_they_hold_it(viewer: Client, champion: Deployment) -> None:
    held = {champion.endpoint_name: {"active": {"deployment": champion.pk, "loaded": True}}}
    GatewayInstanceFactory(routes=held)
    GatewayInstanceFactory(routes={})
    page = viewer.get(champion.get_absolute_url())
    assert sorted(str(holds) for _, holds in page.context["holders"]) == ["None", "None", "True"]


# --- calling it -------------------------------------------------------------------------------


def test_the_snippet_sends_the_first_row_of_the_models_own_example(champion: Deployment) -> None:
    found = snippet(champion)
    assert found is not None
    words = shlex.split(found.command.replace("\\\n", " "))
    assert found.source == "example"
    assert words[2] == champion.endpoint_url
    assert '"data": [[40, 2.5]]' in words[-1]


def test_without_an_example_the_signature_names_the_columns(
    champion: Deployment, settings: Any, tmp_path: Any
) -> None:
    settings.ARTIFACT_STORE = tmp_path / "nothing"
    found = snippet(champion)
    assert found is not None
    assert found.source == "signature"
    assert '"age"' in found.command


def test_without_either_there_is_none(champion: Deployment, settings: Any, tmp_path: Any) -> None:
    settings.ARTIFACT_STORE = tmp_path / "nothing"
    champion.entry.signature = {}
    assert snippet(champion) is None


# --- shadow windows ---------------------------------------------------------------------------


def test_a_window_says_what_is_still_needed_and_under_which_policy(
    viewer: Client, shadow: Deployment
) -> None:
    window = shadow.shadow_window
    ShadowWindow.objects.filter(pk=window.pk).update(
        opened_at=timezone.now() - timedelta(seconds=100)
    )
    TrafficMinuteFactory(deployment=shadow, minutes_ago=0, durations=(2.0,) * 588)
    text = text_of(viewer, shadow)
    assert "Needs 23 h 59 min and 412 more requests" in text
    assert "A policy for demonstrations." in text
    assert "Error rate" in text


def test_a_stored_verdict_is_shown_while_it_is_fresh(viewer: Client, shadow: Deployment) -> None:
    window = ShadowWindow.objects.filter(pk=shadow.shadow_window.pk)
    detail = {"state": "pass", "sentence": "passes: as judged", "criteria": []}
    window.update(verdict="pass", verdict_detail=detail, evaluated_at=timezone.now())
    assert "Passes: as judged." in text_of(viewer, shadow)
    window.update(evaluated_at=timezone.now() - timedelta(hours=1))
    assert "Passes: as judged." not in text_of(viewer, shadow)


def test_a_closed_window_keeps_its_last_verdict(viewer: Client, shadow: Deployment) -> None:
    detail = {"state": "pass", "sentence": "passes: as judged", "criteria": []}
    ShadowWindow.objects.filter(pk=shadow.shadow_window.pk).update(
        state="closed",
        verdict="pass",
        verdict_detail=detail,
        evaluated_at=timezone.now() - timedelta(days=3),
        closed_at=timezone.now() - timedelta(days=3),
    )
    Deployment.objects.filter(pk=shadow.pk).update(status="retired")
    assert "Passes: as judged." in text_of(viewer, shadow)


def test_judging_now_is_a_look_on_record(deployer: Client, shadow: Deployment) -> None:
    answer = deployer.post(f"{shadow.get_absolute_url()}window/evaluate/")
    assert answer["Location"] == shadow.get_absolute_url()
    assert shadow.shadow_window.looks.count() == 1


def test_voiding_asks_for_a_reason_and_keeps_it(deployer: Client, shadow: Deployment) -> None:
    address = f"{shadow.get_absolute_url()}window/void/"
    assert "counts for nothing" in deployer.get(address).content.decode()
    assert deployer.post(address, {"reason": " "}).status_code == 400
    assert deployer.post(address, {"reason": "Test traffic."}).status_code == 303
    window = ShadowWindow.objects.get()
    assert (window.state, window.state_reason) == ("void", "Test traffic.")


@pytest.mark.parametrize("act", ["evaluate", "void"])
def test_a_viewer_does_neither(viewer: Client, shadow: Deployment, act: str) -> None:
    answer = viewer.post(f"{shadow.get_absolute_url()}window/{act}/", {"reason": "Because."})
    assert answer.status_code in (400, 403)
    window = ShadowWindow.objects.get()
    assert window.state == "open"
    assert not window.looks.exists()


def test_a_deployment_without_a_window_has_none_to_judge(
    deployer: Client, champion: Deployment
) -> None:
    assert deployer.post(f"{champion.get_absolute_url()}window/evaluate/").status_code == 404


# --- going back and letting go ----------------------------------------------------------------


def test_a_rollback_says_what_it_does_and_is_asked_for_once(
    deployer: Client, champion: Deployment
) -> None:
    address = f"{champion.get_absolute_url()}rollback/"
    text = deployer.get(address).content.decode()
    assert "visits v1 answers all requests" in text
    assert "Only a reviewed restore to staging leads visits v2 out" in text
    assert "The way back is open." in text
    for _ in range(2):
        assert deployer.post(address, {"reason": "Too slow."}).status_code == 303
    job = Job.objects.get()
    assert job.kind == "deployments.roll_back"
    assert TrailEntry.objects.filter(event="deployments.rollback.requested").count() == 1
    assert f"/jobs/{job.pk}/" in text_of(deployer, champion)


def test_a_rollback_without_a_reason_keeps_the_form(deployer: Client, champion: Deployment) -> None:
    answer = deployer.post(f"{champion.get_absolute_url()}rollback/", {"reason": ""})
    assert answer.status_code == 400
    assert not Job.objects.exists()


def test_changed_files_close_the_way_back(
    deployer: Client, champion: Deployment, settings: Any
) -> None:
    place = settings.ARTIFACT_STORE / "sha256" / champion.artifact_digest / "MLmodel"
    place.write_text("flavors: {other: 1}\n")
    text = deployer.get(f"{champion.get_absolute_url()}rollback/").content.decode()
    assert "There is no way back now." in text
    assert "disabled" in text


def test_the_first_deployment_has_no_way_back(deployer: Client) -> None:
    only = DeploymentFactory()
    assert "There is no previous deployment" in text_of(deployer, only)
    answer = deployer.post(f"{only.get_absolute_url()}rollback/", {"reason": "Too slow."})
    assert answer.status_code == 400
    assert not Job.objects.exists()


def test_a_viewer_reads_why_not_and_cannot(viewer: Client, champion: Deployment) -> None:
    assert "This needs the role deployer or administrator." in text_of(viewer, champion)
    address = f"{champion.get_absolute_url()}rollback/"
    assert viewer.post(address, {"reason": "Too slow."}).status_code == 400
    warm = champion.previous_deployment
    assert warm is not None
    assert viewer.post(f"{warm.get_absolute_url()}retire/", {"reason": "x"}).status_code == 400
    warm.refresh_from_db()
    assert warm.status == "draining"
    assert not Job.objects.exists()


def test_what_is_kept_warm_can_be_let_go(deployer: Client, champion: Deployment) -> None:
    warm = champion.previous_deployment
    assert warm is not None
    address = f"{warm.get_absolute_url()}retire/"
    assert "visits v2 keeps answering" in deployer.get(address).content.decode()
    assert deployer.post(address, {"reason": "Long enough."}).status_code == 303
    warm.refresh_from_db()
    assert warm.status == "retired"


def test_an_active_deployment_is_not_let_go(deployer: Client, champion: Deployment) -> None:
    answer = deployer.post(f"{champion.get_absolute_url()}retire/", {"reason": "Away with it."})
    assert answer.status_code == 400
    assert "kept warm" in answer.content.decode()


def test_the_chain_leads_back_along_previous_deployments(
    viewer: Client, champion: Deployment
) -> None:
    DeploymentFactory(entry=EntryFactory(model=champion.entry.model), status="failed")
    page = viewer.get(champion.get_absolute_url())
    assert page.context["chain"] == [champion, champion.previous_deployment]


def test_an_unknown_deployment_is_not_found(viewer: Client) -> None:
    assert viewer.get("/deployments/999/").status_code == 404
