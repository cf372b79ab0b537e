"""The watch over what serves: measured health, automatic rollback, shadow verdicts, retirement."""

from __future__ import annotations

import logging
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from django.db.models import F, Sum
from django.utils import timezone

from deployments import checks, harm
from deployments.actions.finish_rollout import ROLLING_OUT, fail_rollout
from deployments.actions.retire import retire_deployment
from deployments.actions.roll_back import request_rollback
from deployments.actions.windows import evaluate_window
from deployments.choices import DeploymentStatus, WindowState
from deployments.gateway.client import GatewayAway, GatewayClient
from deployments.models import Deployment, ShadowWindow, TrafficMinute
from deployments.queries import Traffic, total
from deployments.rollback import refresh_readiness
from deployments.store import input_example
from e2i_site.core.errors import Conflict, E2IError
from e2i_site.jobs.models import Job, JobState
from e2i_site.jobs.runner import JobContext

logger = logging.getLogger(__name__)

RECENT = timedelta(minutes=15)
KEEP_WARM = timedelta(minutes=30)
READINESS_EVERY = timedelta(minutes=10)
RETRY_ROLLBACK = timedelta(minutes=10)


def watch(job: JobContext) -> dict[str, Any]:
    """One round over all live deployments. One that fails does not stop the others."""
    now = timezone.now()
    live = Deployment.objects.live().select_related("entry", "previous_deployment__entry")
    counts = {"deployments": 0, "windows": 0, "rollbacks": 0, "retired": 0, "failures": 0}
    _end_abandoned(job)
    for deployment in live:
        counts["deployments"] += 1
        job.raise_if_cancelled()
        try:
            _look_after(deployment, now, counts)
        except E2IError as error:
            counts["failures"] += 1
            job.log(f"{deployment}: {error}")
    for window in ShadowWindow.objects.filter(state=WindowState.OPEN).select_related("entry"):
        counts["windows"] += 1
        try:
            evaluate_window(window=window, now=now)
        except E2IError as error:
            counts["failures"] += 1
            job.log(f"{window}: {error}")
    return counts


def _end_abandoned(job: JobContext) -> None:
    """Fail roll-outs whose job ended without deciding: cancelled, or out of attempts."""
    for deployment in Deployment.objects.filter(status__in=ROLLING_OUT):
        last = Job.objects.filter(key=f"roll_out:{deployment.pk}").order_by("-pk").first()
        if last is not None and last.state in (JobState.FAILED, JobState.CANCELLED):
            reason = f"Its roll-out ended: {last.message or last.get_state_display()}"
            job.log(f"{deployment}: {reason}")
            with suppress(Conflict):  # it was decided meanwhile
                fail_rollout(deployment=deployment, actor=None, reason=reason)


def _look_after(deployment: Deployment, now: datetime, counts: dict[str, int]) -> None:
    recent = _store_measurements(deployment, now)
    if deployment.status == DeploymentStatus.DRAINING:
        counts["retired"] += _retire_when_cold(deployment, now)
        return
    if deployment.status != DeploymentStatus.ACTIVE and not deployment.canary_share:
        return
    _check_health(deployment, now)
    if deployment.is_shadow or deployment.canary_share:  # its roll-out judges a canary
        return
    checked = deployment.rollback_checked_at
    if checked is None or now - checked > READINESS_EVERY:
        refresh_readiness(deployment)
    if reason := _why_back(deployment, recent):
        counts["rollbacks"] += _roll_back(deployment, reason)


def _store_measurements(deployment: Deployment, now: datetime) -> list[TrafficMinute]:
    """Put the traffic of the last minutes on the deployment's row; returns those minutes."""
    minutes = list(
        TrafficMinute.objects.filter(deployment=deployment, minute__gte=now - RECENT).order_by(
            "minute"
        )
    )
    traffic = total(minutes, RECENT)
    ever = TrafficMinute.objects.filter(deployment=deployment).aggregate(n=Sum("requests"))["n"]
    changes: dict[str, Any] = {"request_count": ever or 0}
    if traffic.requests:
        kind = "shadow_metrics" if deployment.is_shadow else "production_metrics"
        changes |= {
            "latency_p50_ms": traffic.p50,
            "latency_p95_ms": traffic.p95,
            "latency_p99_ms": traffic.p99,
            "error_rate": traffic.error_rate,
            "measured_at": minutes[-1].minute,
            kind: _metrics(traffic),
        }
    Deployment.objects.filter(pk=deployment.pk).update(**changes)
    return minutes


def _metrics(traffic: Traffic) -> dict[str, Any]:
    return {
        "minutes": traffic.span / timedelta(minutes=1),
        "requests": traffic.requests,
        "errors": traffic.errors,
        "rejected": traffic.rejected,
        "dropped": traffic.dropped,
        "latency_p50_ms": traffic.p50,
        "latency_p95_ms": traffic.p95,
        "latency_p99_ms": traffic.p99,
        "error_rate": traffic.error_rate,
        "compared": traffic.compared,
        "disagreement_rate": traffic.disagreement_rate,
    }


def _check_health(deployment: Deployment, now: datetime) -> None:
    """Loaded, and answering its own input example. A gateway that is away blames no version."""
    healthy, detail = _health(deployment)
    rows = Deployment.objects.filter(pk=deployment.pk)
    if healthy is None:
        rows.update(health_detail=detail, health_checked_at=now)
        return
    failures = 0 if healthy else F("health_failures") + 1
    rows.update(health_failures=failures, health_detail=detail, health_checked_at=now)
    deployment.health_failures = 0 if healthy else deployment.health_failures + 1
    deployment.health_detail = detail


def _health(deployment: Deployment) -> tuple[bool | None, str]:
    client = GatewayClient(timeout=30)
    try:
        reply = client.check(deployment.endpoint_name, deployment.pk)
        if not reply.ok:
            return (False if reply.refused else None), reply.detail
        files = checks.artifact_store().path(deployment.artifact_digest)
        if (example := input_example(files)) is None:
            return True, "Loaded in the gateway; the model brings no input example to try."
        reply = client.try_example(deployment.endpoint_name, deployment.pk, example)
    except GatewayAway as error:
        return None, str(error)
    if reply.ok:
        return True, "Loaded in the gateway; answers its own input example."
    return False, reply.detail


def _why_back(deployment: Deployment, minutes: list[TrafficMinute]) -> str:
    """Why the deployment has to be rolled back, measured; empty when it has not."""
    previous = deployment.previous_deployment
    before = previous.latency_p99_ms if previous else None
    return (
        harm.failing(deployment)
        or harm.erring(harm.lately(minutes, timezone.now()))
        or harm.slower(deployment, total(minutes, RECENT), previous, before)
    )


def _roll_back(deployment: Deployment, reason: str) -> int:
    """1 when a rollback was asked for; without a way back the failure is only on record.

    One that failed a moment ago would fail again, and each is on record twice.
    """
    just_failed = Job.objects.filter(
        key=f"roll_back:{deployment.pk}",
        state=JobState.FAILED,
        finished_at__gt=timezone.now() - RETRY_ROLLBACK,
    )
    if just_failed.exists():
        return 0
    try:
        request_rollback(deployment=deployment, actor=None, reason=f"Automatic: {reason}")
    except E2IError as error:
        logger.warning("%s should be rolled back and cannot be: %s", deployment, error)
        return 0
    return 1


def _retire_when_cold(deployment: Deployment, now: datetime) -> int:
    since = deployment.deactivated_at or now
    if now - since < KEEP_WARM:
        return 0
    retire_deployment(deployment=deployment, actor=None, reason="Kept warm for 30 minutes.")
    return 1
