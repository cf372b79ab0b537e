"""Deployments, their traffic, shadow windows and gateway processes."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import factory
from django.utils import timezone

from deployments.choices import DeploymentStatus, Environment, Strategy
from deployments.models import (
    Canary,
    Deployment,
    GatewayInstance,
    ShadowLook,
    ShadowWindow,
    TrafficMinute,
)
from deployments.shadow.evidence import ShadowLimits
from deployments.shadow.histogram import Histogram
from tests.factories.people import UserFactory
from tests.factories.registry import EntryFactory, PolicyFactory


class DeploymentFactory(factory.django.DjangoModelFactory[Deployment]):
    """An active deployment in production; `strategy="shadow"` for one that gets copies."""

    class Meta:
        model = Deployment

    entry = factory.SubFactory(EntryFactory)
    environment = Environment.PRODUCTION
    endpoint_name = factory.LazyAttribute(lambda o: o.entry.model_id)
    endpoint_url = factory.LazyAttribute(
        lambda o: f"http://127.0.0.1:8100/{o.endpoint_name}/invocations"
    )
    deployment_name = factory.LazyAttribute(
        lambda o: f"{o.endpoint_name}-v{o.entry.model_version}-{o.environment}"
    )
    status = DeploymentStatus.ACTIVE
    strategy = Strategy.BLUE_GREEN
    artifact_digest = factory.SelfAttribute("entry.artifact_digest")
    deployed_by = factory.SubFactory(UserFactory, roles=["deployer"])
    deployed_at = factory.LazyFunction(lambda: timezone.now() - timedelta(hours=3))


class CanaryFactory(factory.django.DjangoModelFactory[Canary]):
    """At its first share for two minutes; `deployment__canary_share=0` for one that ended."""

    class Meta:
        model = Canary

    deployment = factory.SubFactory(
        DeploymentFactory,
        status=DeploymentStatus.DEPLOYING,
        strategy=Strategy.CANARY,
        canary_share=5,
        deployed_at=None,
    )
    limits: dict[str, Any] = factory.LazyFunction(
        lambda: {"steps": [5, 25, 50], "minutes": 10, "requests": 100}
    )
    began_at = factory.LazyFunction(lambda: timezone.now() - timedelta(minutes=2))
    step_began_at = factory.SelfAttribute("began_at")


class TrafficMinuteFactory(factory.django.DjangoModelFactory[TrafficMinute]):
    """One minute of traffic, `minutes_ago` before now; `durations` in ms, one a request."""

    class Meta:
        model = TrafficMinute

    class Params:
        minutes_ago = 1
        durations: tuple[float, ...] = (2.0, 3.0, 4.0)

    deployment = factory.SubFactory(DeploymentFactory)
    minute = factory.LazyAttribute(
        lambda o: timezone.now().replace(second=0, microsecond=0) - timedelta(minutes=o.minutes_ago)
    )
    requests = factory.LazyAttribute(lambda o: len(o.durations))
    latency = factory.LazyAttribute(lambda o: Histogram.of(o.durations).to_json())


class ShadowWindowFactory(factory.django.DjangoModelFactory[ShadowWindow]):
    class Meta:
        model = ShadowWindow

    deployment = factory.SubFactory(DeploymentFactory, strategy=Strategy.SHADOW)
    entry = factory.SelfAttribute("deployment.entry")
    artifact_digest = factory.SelfAttribute("deployment.artifact_digest")
    policy = factory.SubFactory(PolicyFactory)
    limits: dict[str, Any] = factory.LazyFunction(lambda: ShadowLimits().to_json())
    opened_at = factory.LazyFunction(lambda: timezone.now() - timedelta(minutes=2))


class ShadowLookFactory(factory.django.DjangoModelFactory[ShadowLook]):
    class Meta:
        model = ShadowLook

    window = factory.SubFactory(ShadowWindowFactory)
    at = factory.LazyFunction(timezone.now)
    requests = 100
    verdict = "inconclusive"


class GatewayInstanceFactory(factory.django.DjangoModelFactory[GatewayInstance]):
    class Meta:
        model = GatewayInstance

    instance = factory.Sequence(lambda n: f"gateway-{n}")
    version = "0.1.0"
    started_at = factory.LazyFunction(lambda: timezone.now() - timedelta(hours=5))
    seen_at = factory.LazyFunction(timezone.now)
