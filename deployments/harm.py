"""What takes a version out of traffic again: failed health checks, errors, latency.

Each function says what was measured, or nothing where it is not enough.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from deployments.models import Deployment, TrafficMinute
from deployments.queries import Traffic, total
from registry.choices import Stage

MOST_FAILURES = 3
MOST_ERRORS = 0.05
# Fewer requests say nothing.
FEWEST_REQUESTS = 50
# The minutes whose errors count, however well it did before.
ERROR_SPAN = timedelta(minutes=5)


def failing(deployment: Deployment) -> str:
    """Its health checks fail again and again."""
    if deployment.health_failures < MOST_FAILURES:
        return ""
    return (
        f"Health checks failed {deployment.health_failures} times in a row: "
        f"{deployment.health_detail}"
    )


def erring(traffic: Traffic, *, fewest: int = FEWEST_REQUESTS) -> str:
    """More than 5 % of its requests failed."""
    rate = traffic.error_rate
    if rate is None or traffic.requests < fewest or rate <= MOST_ERRORS:
        return ""
    return f"{traffic.errors} of the last {traffic.requests} requests failed ({rate:.1%})."


def lately(minutes: Iterable[TrafficMinute], now: datetime) -> Traffic:
    """The traffic whose errors count, out of `minutes`."""
    return total((row for row in minutes if row.minute >= now - ERROR_SPAN), ERROR_SPAN)


def slower(
    deployment: Deployment, traffic: Traffic, other: Deployment | None, before: float | None
) -> str:
    """p99 over twice that of the `other` version (`before`, in ms) and over its policy's limit."""
    limit, p99 = _p99_limit(deployment), traffic.p99
    if before is None or limit is None or p99 is None or traffic.requests < FEWEST_REQUESTS:
        return ""
    if p99 <= 2 * before or p99 <= limit:
        return ""
    return f"p99 is {p99:.0f} ms, over twice the {before:.0f} ms of {other} and over {limit:g} ms."


def _p99_limit(deployment: Deployment) -> float | None:
    """What its policy allows a shadow, in ms."""
    promotion = deployment.promotion
    rules = (promotion.policy.for_stage(Stage.PRODUCTION) if promotion else None) or {}
    limit = (rules.get("shadow") or {}).get("p99_ms")
    return None if limit is None else float(limit)
