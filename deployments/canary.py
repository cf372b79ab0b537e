"""Judging the steps of a canary by what was measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Sum

from deployments import harm
from deployments.models import Canary, Deployment, TrafficMinute
from deployments.queries import Traffic, total
from e2i_site.core.errors import E2IError
from registry.choices import Stage
from registry.models import Promotion


class CanaryPaused(E2IError):
    """Somebody paused it a moment ago, so it goes no further."""

    def __init__(self, canary: Canary) -> None:
        share = canary.limits["steps"][canary.step]
        super().__init__(f"Paused at {share} % of the callers: {canary.pause_reason}")


@dataclass(frozen=True)
class CanaryLimits:
    """`steps` are shares of the callers in percent, rising; each lasts for at least `minutes` and
    until the canary has answered `requests`."""

    steps: tuple[int, ...]
    minutes: float
    requests: int

    def to_json(self) -> dict[str, Any]:
        """What `from_json` reads back."""
        return asdict(self) | {"steps": list(self.steps)}

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> CanaryLimits:
        return cls(tuple(raw["steps"]), float(raw["minutes"]), int(raw["requests"]))


def canary_limits(promotion: Promotion) -> CanaryLimits | None:
    """By which steps the promotion goes to all callers; None: in one.

    What went past its gates is needed at once.
    """
    rules = promotion.policy.for_stage(promotion.to_stage) or {}
    if promotion.to_stage != Stage.PRODUCTION or promotion.past_gates or not rules.get("canary"):
        return None
    return CanaryLimits.from_json(rules["canary"])


def champion_of(deployment: Deployment) -> Deployment | None:
    """What answers the other callers of the endpoint."""
    return (
        Deployment.objects.serving()
        .filter(endpoint_name=deployment.endpoint_name, environment=deployment.environment)
        .select_related("entry")
        .first()
    )


def answered(deployment: Deployment) -> tuple[int, int]:
    """(requests, errors) that were ever measured of it."""
    sums = TrafficMinute.objects.filter(deployment=deployment).aggregate(
        requests=Sum("requests"), errors=Sum("errors")
    )
    return sums["requests"] or 0, sums["errors"] or 0


def step_traffic(canary: Canary, now: datetime) -> Traffic:
    """What the canary did in its present step.

    Requests and errors are exact; latencies are of whole minutes, the one in which it began too.
    """
    requests, errors = answered(canary.deployment)
    return replace(
        total(_minutes(canary.deployment, canary), now - canary.step_began_at),
        requests=requests - canary.requests_before,
        errors=errors - canary.errors_before,
    )


def step_row(canary: Canary, traffic: Traffic, now: datetime) -> dict[str, Any]:
    """The present step as it is kept: {share, began, ended, requests, errors, p99_ms}."""
    return {
        "share": canary.limits["steps"][canary.step],
        "began": canary.step_began_at.isoformat(),
        "ended": now.isoformat(),
        "requests": traffic.requests,
        "errors": traffic.errors,
        "p99_ms": traffic.p99,
    }


def why_end(canary: Canary, traffic: Traffic, champion: Deployment | None, now: datetime) -> str:
    """Why the canary must not go on, measured; empty when it may."""
    if champion is None:
        return "The version that answered the other callers does not any more."
    minutes = _minutes(canary.deployment, canary)
    beside = total(_minutes(champion, canary), now - canary.step_began_at)
    enough = beside.requests >= harm.FEWEST_REQUESTS
    before = beside.p99 if enough else champion.latency_p99_ms
    whole = not still_missing(canary, traffic, now)
    return (
        harm.failing(canary.deployment)
        or harm.erring(harm.lately(minutes, now))
        or harm.erring(traffic, fewest=1 if whole else harm.FEWEST_REQUESTS)
        or harm.slower(canary.deployment, traffic, champion, before)
    )


def still_missing(canary: Canary, traffic: Traffic, now: datetime) -> str:
    """What the present step still needs; empty when it is complete."""
    limits = CanaryLimits.from_json(canary.limits)
    minutes = (now - canary.step_began_at) / timedelta(minutes=1)
    parts = []
    if traffic.requests < limits.requests:
        parts.append(f"{traffic.requests} of {limits.requests} requests")
    if minutes < limits.minutes:
        parts.append(f"{int(minutes)} of {limits.minutes:g} minutes")
    return " and ".join(parts)


def _minutes(deployment: Deployment, canary: Canary) -> list[TrafficMinute]:
    """Of the present step, the one in which it began included."""
    since = canary.step_began_at.replace(second=0, microsecond=0)
    return list(TrafficMinute.objects.filter(deployment=deployment, minute__gte=since))
