"""The watch: measurements on the row, automatic rollback, retirement, abandoned roll-outs."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from deployments.choices import DeploymentStatus, Strategy
from deployments.models import Deployment
from e2i_site.core.errors import Conflict
from e2i_site.jobs.enqueue import enqueue
from e2i_site.jobs.models import Job, JobState
from e2i_site.trail.models import TrailEntry
from registry.choices import PromotionState, Stage
from tests.deployments.lifecycle import run_jobs, short_policy
from tests.factories.deployments import DeploymentFactory, TrafficMinuteFactory
from tests.factories.registry import EntryFactory, ModelFactory, PromotionFactory

# A job renews its lease from a thread of its own, so its rows must be committed.
pytestmark = pytest.mark.django_db(transaction=True)


def watch() -> Job:
    enqueue("deployments.watch")
    (job,) = run_jobs("deployments.watch")
    assert job.state == "succeeded", job.message
    return job


def replaced(**facts: object) -> Deployment:
    model = ModelFactory()
    before = DeploymentFactory(
        entry=EntryFactory(model=model, stage=Stage.ARCHIVED),
        status=DeploymentStatus.DRAINING,
        deactivated_at=timezone.now(),
        latency_p99_ms=10.0,
    )
    entry = EntryFactory(model=model, stage=Stage.PRODUCTION)
    deployment: Deployment = DeploymentFactory(entry=entry, previous_deployment=before, **facts)
    return deployment


def test_traffic_is_put_on_the_row() -> None:
    deployment = replaced()
    TrafficMinuteFactory(deployment=deployment, durations=(2.0,) * 98 + (40.0, 50.0), errors=2)
    TrafficMinuteFactory(deployment=deployment, minutes_ago=60 * 24, durations=(9.0,) * 7)
    watch()
    deployment.refresh_from_db()
    assert deployment.request_count == 107
    assert deployment.error_rate == pytest.approx(0.02)
    assert deployment.latency_p50_ms == pytest.approx(2.0, rel=0.011)
    assert deployment.latency_p99_ms == pytest.approx(40.0, rel=0.011)
    assert deployment.production_metrics["requests"] == 100
    assert deployment.shadow_metrics == {}


def test_nothing_measured_stays_nothing() -> None:
    deployment = replaced()
    watch()
    deployment.refresh_from_db()
    assert (deployment.error_rate, deployment.latency_p99_ms, deployment.measured_at) == (None,) * 3


def test_a_gateway_that_is_away_blames_no_version() -> None:
    deployment = replaced(health_failures=2)
    assert watch().result["rollbacks"] == 0
    deployment.refresh_from_db()
    assert deployment.health_failures == 2
    assert "does not answer" in deployment.health_detail


@pytest.mark.parametrize("fault", ["health", "errors", "latency"])
def test_measured_failures_ask_for_one_rollback(fault: str) -> None:
    deployment = replaced(health_failures=3 if fault == "health" else 0)
    if fault == "errors":
        TrafficMinuteFactory(deployment=deployment, durations=(2.0,) * 100, errors=6)
    if fault == "latency":
        promotion = PromotionFactory(
            entry=deployment.entry, policy=short_policy(p99_ms=150), state=PromotionState.APPLIED
        )
        Deployment.objects.filter(pk=deployment.pk).update(promotion=promotion)
        TrafficMinuteFactory(deployment=deployment, durations=(2.0,) * 60 + (400.0,) * 5)
    assert watch().result["rollbacks"] == 1
    watch()
    job = Job.objects.get(kind="deployments.roll_back")
    assert job.payload["reason"].startswith("Automatic: ")
    assert TrailEntry.objects.filter(event="deployments.rollback.requested").count() == 1


def test_a_rollback_that_failed_is_asked_for_again_after_a_while() -> None:
    replaced(health_failures=3)
    assert watch().result["rollbacks"] == 1
    jobs = Job.objects.filter(kind="deployments.roll_back")
    jobs.update(state=JobState.FAILED, finished_at=timezone.now())
    assert watch().result["rollbacks"] == 0
    jobs.update(finished_at=timezone.now() - timedelta(minutes=11))
    assert watch().result["rollbacks"] == 1


@pytest.mark.parametrize(
    ("requests", "errors"), [(100, 5), (49, 49), (100, 0)], ids=["at the limit", "few", "none"]
)
def test_what_is_not_enough_for_a_rollback(requests: int, errors: int) -> None:
    deployment = replaced()
    TrafficMinuteFactory(deployment=deployment, durations=(2.0,) * requests, errors=errors)
    assert watch().result["rollbacks"] == 0


def test_a_rollback_without_verified_bytes_is_not_available() -> None:
    deployment = replaced()
    watch()
    deployment.refresh_from_db()
    assert not deployment.rollback_available
    assert "The store has no files" in deployment.rollback_detail


def test_the_one_before_is_retired_after_half_an_hour() -> None:
    before = replaced().previous_deployment
    assert before is not None
    watch()
    before.refresh_from_db()
    assert before.status == DeploymentStatus.DRAINING
    Deployment.objects.filter(pk=before.pk).update(
        deactivated_at=timezone.now() - timedelta(minutes=31)
    )
    watch()
    before.refresh_from_db()
    assert before.status == DeploymentStatus.RETIRED
    assert TrailEntry.objects.filter(event="deployments.deployment.retired").count() == 1


@pytest.mark.parametrize("state", [JobState.FAILED, JobState.CANCELLED])
def test_a_roll_out_whose_job_ended_fails_with_its_promotion(state: str) -> None:
    promotion = PromotionFactory(state=PromotionState.APPROVED, to_stage=Stage.SHADOW)
    deployment = DeploymentFactory(
        entry=promotion.entry,
        promotion=promotion,
        strategy=Strategy.SHADOW,
        status=DeploymentStatus.DEPLOYING,
    )
    job = enqueue(
        "deployments.roll_out",
        payload={"deployment": deployment.pk},
        key=f"roll_out:{deployment.pk}",
    )
    watch()
    deployment.refresh_from_db()
    assert deployment.status == DeploymentStatus.DEPLOYING
    Job.objects.filter(pk=job.pk).update(state=state, message="Stopped by hand.")
    watch()
    deployment.refresh_from_db()
    promotion.refresh_from_db()
    assert (deployment.status, promotion.state) == ("failed", PromotionState.FAILED)
    assert "Stopped by hand." in promotion.state_reason


def test_a_roll_out_that_ends_during_the_round_does_not_end_the_round(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def decided(**_: object) -> None:
        raise Conflict("The deployment is active already.")

    monkeypatch.setattr("deployments.watch.fail_rollout", decided)
    deployment = DeploymentFactory(status=DeploymentStatus.DEPLOYING)
    job = enqueue("deployments.roll_out", key=f"roll_out:{deployment.pk}")
    Job.objects.filter(pk=job.pk).update(state=JobState.CANCELLED)
    assert watch().result["deployments"] == 1
