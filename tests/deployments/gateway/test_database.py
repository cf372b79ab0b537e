"""The gateway's ends in the database: what it reads as routes, and how counts add up."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from deployments.choices import DeploymentStatus, Environment, Strategy, WindowState
from deployments.gateway.database import DatabaseRoutes, DatabaseSink
from deployments.gateway.measure import MinuteCounts
from deployments.gateway.routes import ACTIVE, SHADOW, STANDBY
from deployments.models import TrafficMinute
from deployments.shadow.histogram import Histogram
from tests.factories.deployments import DeploymentFactory, ShadowWindowFactory

# The gateway opens and closes connections of its own, so rows must be committed.
pytestmark = pytest.mark.django_db(transaction=True)


def test_live_deployments_become_targets() -> None:
    active = DeploymentFactory()
    warm = DeploymentFactory(status=DeploymentStatus.DRAINING)
    coming = DeploymentFactory(status=DeploymentStatus.DEPLOYING, strategy=Strategy.SHADOW)
    window = ShadowWindowFactory()
    for status in (DeploymentStatus.PENDING, DeploymentStatus.FAILED, DeploymentStatus.RETIRED):
        DeploymentFactory(status=status)
    DeploymentFactory(environment=Environment.STAGING)
    targets = {each.deployment: each for each in DatabaseRoutes().read()}
    assert {key: each.role for key, each in targets.items()} == {
        active.pk: ACTIVE,
        warm.pk: STANDBY,
        coming.pk: STANDBY,
        window.deployment_id: SHADOW,
    }
    assert targets[window.deployment_id].slow_ms == 150.0
    assert targets[active.pk].slow_ms is None
    target = targets[active.pk]
    assert (target.endpoint, target.digest) == (active.endpoint_name, active.artifact_digest)


def test_a_window_that_ended_counts_nothing_as_slow() -> None:
    ShadowWindowFactory(state=WindowState.VOID)
    (target,) = DatabaseRoutes().read()
    assert target.slow_ms is None


def test_flushes_add_up() -> None:
    deployment = DeploymentFactory()
    minute = 1_750_000_020

    def counts(durations: list[float], largest: float) -> MinuteCounts:
        return MinuteCounts(
            deployment.pk,
            minute,
            requests=len(durations),
            errors=1,
            slow=1,
            dropped=2,
            rejected=3,
            compared=4,
            disagreements=1,
            champion_errors=1,
            difference_sum=0.5,
            difference_max=largest,
            latency=Histogram.of(durations),
        )

    sink = DatabaseSink()
    sink.write([counts([1.0, 2.0], 0.25)])
    sink.write([counts([3.0], 0.75), MinuteCounts(deployment.pk, minute + 60, requests=1)])
    row, later = TrafficMinute.objects.order_by("minute")
    assert row.minute == datetime.fromtimestamp(minute, UTC)
    assert (row.requests, row.errors, row.slow, row.dropped, row.rejected) == (3, 2, 2, 4, 6)
    assert (row.compared, row.disagreements, row.champion_errors) == (8, 2, 2)
    assert (row.difference_sum, row.difference_max) == (1.0, 0.75)
    assert Histogram.from_json(row.latency) == Histogram.of([1.0, 2.0, 3.0])
    assert later.requests == 1


def test_a_flush_is_all_or_nothing() -> None:
    deployment = DeploymentFactory()
    good = MinuteCounts(deployment.pk, 1_750_000_020, requests=1)
    bad = MinuteCounts(deployment.pk, 1_750_000_080, requests=1)
    bad.latency = None  # type: ignore[assignment]
    with pytest.raises(AttributeError):
        DatabaseSink().write([good, bad])
    assert not TrafficMinute.objects.exists()
