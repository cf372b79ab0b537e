"""Evidence of a shadow window, read from what the gateway measured."""

from __future__ import annotations

from datetime import datetime

from django.utils import timezone

from deployments.choices import WindowState
from deployments.models import ShadowWindow, TrafficMinute
from deployments.shadow.evidence import Minute, ShadowEvidence, ShadowLimits
from deployments.shadow.histogram import Histogram, merged
from deployments.shadow.verdict import Verdict, judge


def gather(window: ShadowWindow, now: datetime | None = None) -> ShadowEvidence:
    """What was measured from the window's opening to now, or to its end; one query."""
    until = window.closed_at or now or timezone.now()
    start = window.opened_at.replace(second=0, microsecond=0)
    rows = list(
        TrafficMinute.objects.filter(
            deployment=window.deployment_id, minute__gte=start, minute__lte=until
        )
        .order_by("minute")
        .values_list("minute", "requests", "errors", "slow", "dropped", "latency")
    )
    return ShadowEvidence(
        opened_at=window.opened_at,
        until=until,
        minutes=tuple(
            Minute(minute, requests, errors, slow, dropped)
            for minute, requests, errors, slow, dropped, _ in rows
        ),
        latency=merged(Histogram.from_json(latency) for *_, latency in rows),
        void=_void_reason(window),
    )


def verdict_on(window: ShadowWindow, now: datetime | None = None) -> tuple[ShadowEvidence, Verdict]:
    """The evidence and its verdict under the window's own, frozen limits."""
    evidence = gather(window, now)
    return evidence, judge(evidence, ShadowLimits.from_json(window.limits))


def digest_changed(window: ShadowWindow) -> bool:
    """Whether the version now has other bytes than the ones the window is about."""
    return window.entry.artifact_digest != window.artifact_digest


def _void_reason(window: ShadowWindow) -> str:
    if window.state == WindowState.VOID:
        return window.state_reason
    if digest_changed(window):
        return "The version's files are not the ones that were measured."
    return ""
