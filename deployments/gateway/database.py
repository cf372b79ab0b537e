"""The gateway's two ends in the database: routes come from it, measurements go into it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from django.db import close_old_connections, connection, transaction
from django.utils import timezone

from deployments.choices import LIVE, DeploymentStatus, Environment, WindowState
from deployments.gateway.measure import MinuteCounts
from deployments.gateway.routes import ACTIVE, CANARY, SHADOW, STANDBY, STOPPED, Target
from deployments.gateway.runtime import Gateway
from deployments.models import Deployment, GatewayInstance, TrafficMinute
from deployments.shadow.histogram import Histogram

P = ParamSpec("P")
R = TypeVar("R")

_SUMS = (
    "requests",
    "errors",
    "rejected",
    "slow",
    "dropped",
    "compared",
    "disagreements",
    "champion_errors",
    "difference_sum",
)


def _own_connection(function: Callable[P, R]) -> Callable[P, R]:
    """For threads outside a request: connections that died are replaced."""

    @wraps(function)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        close_old_connections()
        try:
            return function(*args, **kwargs)
        except Exception:
            connection.close()
            raise

    return wrapped


class DatabaseRoutes:
    """Targets from the live deployments of the production environment, in one query."""

    @_own_connection
    def read(self) -> list[Target]:
        deployments = (
            Deployment.objects.filter(
                status__in=(*LIVE, DeploymentStatus.STOPPED), environment=Environment.PRODUCTION
            )
            .select_related("entry", "shadow_window")
            .order_by("pk")
        )
        return [_target(deployment) for deployment in deployments]


def _target(deployment: Deployment) -> Target:
    return Target(
        deployment=deployment.pk,
        endpoint=deployment.endpoint_name,
        role=_role(deployment),
        model=deployment.entry.model_id,
        version=deployment.entry.model_version,
        digest=deployment.artifact_digest,
        slow_ms=_slow_limit(deployment),
        was_shadow=deployment.is_shadow,
        share=deployment.canary_share,
    )


def _role(deployment: Deployment) -> str:
    if deployment.status == DeploymentStatus.STOPPED:
        return STOPPED
    if deployment.canary_share:
        return CANARY
    if deployment.status != DeploymentStatus.ACTIVE:
        return STANDBY
    return SHADOW if deployment.is_shadow else ACTIVE


def _slow_limit(deployment: Deployment) -> float | None:
    window = getattr(deployment, "shadow_window", None)
    if window is None or window.state != WindowState.OPEN:
        return None
    return float(window.limits["p99_ms"])


class DatabaseSink:
    """Adds counts to the minutes' rows, in one transaction."""

    @_own_connection
    def write(self, counts: Sequence[MinuteCounts]) -> None:
        with transaction.atomic():
            for each in sorted(counts, key=lambda item: (item.deployment, item.minute)):
                _add(each)


def _add(counts: MinuteCounts) -> None:
    row, _ = TrafficMinute.objects.select_for_update().get_or_create(
        deployment_id=counts.deployment, minute=datetime.fromtimestamp(counts.minute, UTC)
    )
    for name in _SUMS:
        setattr(row, name, getattr(row, name) + getattr(counts, name))
    row.difference_max = max(row.difference_max, counts.difference_max)
    latency = Histogram.from_json(row.latency)
    latency.merge(counts.latency)
    row.latency = latency.to_json()
    row.save()


@_own_connection
def report(gateway: Gateway) -> None:
    """Write down what this process has loaded."""
    GatewayInstance.objects.update_or_create(
        instance=gateway.instance,
        defaults={
            "routes": {each.name: _routes(each) for each in gateway.table.all()},
            "problems": gateway.problems(),
            "started_at": datetime.fromtimestamp(gateway.started_at, UTC),
            "seen_at": timezone.now(),
        },
    )


def _routes(endpoint: Any) -> dict[str, Any]:
    result = {}
    for role, served in (
        (ACTIVE, endpoint.active),
        (CANARY, endpoint.canary),
        (SHADOW, endpoint.shadow),
    ):
        wanted = endpoint.wants(role)
        target = served.target if served else wanted
        if target:
            loaded = served is not None and served.target == wanted
            result[role] = {**target.describe(), "loaded": loaded}
    return result
