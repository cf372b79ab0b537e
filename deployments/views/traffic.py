"""Measured traffic as charts, with the limits that hold and the decisions that were taken."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from deployments.models import Canary, Deployment
from deployments.queries import Point
from e2i_site.core.charts import Limit, LineChart, Mark, Series
from registry.choices import Stage

RANGES = {
    "1h": ("1 hour", timedelta(hours=1)),
    "6h": ("6 hours", timedelta(hours=6)),
    "24h": ("24 hours", timedelta(hours=24)),
    "7d": ("7 days", timedelta(days=7)),
}
DEFAULT_RANGE = "1h"


def limits_of(deployment: Deployment) -> Mapping[str, Any]:
    """The limits of its shadow window, else those its promotion's policy sets for a shadow."""
    window = getattr(deployment, "shadow_window", None)
    if window is not None:
        found: Mapping[str, Any] = window.limits
        return found
    if deployment.promotion is None:
        return {}
    rules = deployment.promotion.policy.for_stage(Stage.PRODUCTION) or {}
    return rules.get("shadow") or {}


def charts(
    points: Sequence[Point], limits: Mapping[str, Any], marks: Sequence[Mark]
) -> list[LineChart]:
    """Latency, errors and requests over time; steps without a request are gaps, not zeros."""
    if not any(point.traffic.requests for point in points):
        return []
    x = [point.start for point in points]
    traffic = [point.traffic for point in points]
    step = "a minute" if points[0].traffic.span == timedelta(minutes=1) else "a step"
    p99, rate = limits.get("p99_ms"), limits.get("error_rate")
    return [
        LineChart(
            title="Latency",
            x=x,
            series=[
                Series("p50", [each.p50 for each in traffic]),
                Series("p95", [each.p95 for each in traffic]),
                Series("p99", [each.p99 for each in traffic]),
            ],
            unit="ms",
            limits=[Limit(f"limit of p99: {p99:g} ms", float(p99))] if p99 else [],
            marks=marks,
            note=f"quantiles of {step}, logarithmic scale",
            log=True,
            name="chart-latency",
        ),
        LineChart(
            title="Errors",
            x=x,
            series=[Series("Failed requests", [_percent(each.error_rate) for each in traffic])],
            unit="%",
            limits=[Limit(f"limit: {100 * rate:g} %", 100 * float(rate))] if rate else [],
            marks=marks,
            low=True,
            name="chart-errors",
        ),
        LineChart(
            title="Requests",
            x=x,
            series=[Series("Requests", [each.requests for each in traffic])],
            marks=marks,
            low=True,
            note=f"in {step}",
            name="chart-requests",
        ),
    ]


def _percent(share: float | None) -> float | None:
    return None if share is None else 100 * share


def _canary_marks(
    deployment: Deployment, version: str, since: datetime
) -> list[tuple[datetime, str]]:
    """When its shares began."""
    canary: Canary | None = getattr(deployment, "canary", None)
    if canary is None:
        return []
    began = [datetime.fromisoformat(each["began"]) for each in canary.measured]
    if canary.is_under_way:
        began.append(canary.step_began_at)
    steps = zip(began, canary.limits["steps"], strict=False)
    return [(at, f"{version} {share} %") for at, share in steps if at >= since]


def marks(chain: Iterable[Deployment], since: datetime) -> list[Mark]:
    """When versions of this endpoint began to answer, and when one was rolled back."""
    found: list[tuple[datetime, str]] = []
    for each in chain:
        version = f"v{each.entry.model_version}"
        found += _canary_marks(each, version, since)
        if each.deployed_at and each.deployed_at >= since:
            found.append((each.deployed_at, f"{version} active"))
        if each.rolled_back_at and each.rolled_back_at >= since:
            found.append((each.rolled_back_at, f"{version} rolled back"))
    return [Mark(at, label) for at, label in sorted(found)]
