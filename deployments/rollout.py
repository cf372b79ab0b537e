"""A roll-out as a job: package → load → health check (→ canary) → switch, all or nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.utils import timezone

from deployments import checks
from deployments.actions.canary import begin_canary, widen_canary
from deployments.actions.finish_rollout import ROLLING_OUT, activate, fail_rollout
from deployments.canary import (
    CanaryLimits,
    CanaryPaused,
    answered,
    canary_limits,
    champion_of,
    step_traffic,
    still_missing,
    why_end,
)
from deployments.choices import CanaryState, DeploymentStatus, Strategy
from deployments.models import Canary, Deployment
from deployments.store import DigestMismatch
from e2i_site.core.errors import Conflict, InvalidInput, Refused
from e2i_site.jobs.handlers import Wait
from e2i_site.jobs.runner import JobContext
from e2i_site.mlflow_connector import NotFound, Rejected
from registry.actions.fail_promotion import note_rollout
from registry.choices import PromotionState
from registry.models import RegisteredModel
from registry.policies import HIDDEN

STEPS = 4
# The gateway stores what it measured every few seconds.
LOOK_SECONDS = 10
# What ends a roll-out for good: trying again would give the same answer.
_FINAL = (checks.Unfit, DigestMismatch, NotFound, Rejected, Refused, Conflict, InvalidInput)


def roll_out(job: JobContext) -> dict[str, Any]:
    """Carry one deployment into serving. Safe to repeat from any point.

    Raises Wait, noted on deployment and promotion, while MLflow or the gateway is away, MLflow
    hides the model, or a canary has not shown enough.
    """
    deployment = Deployment.objects.select_related("entry", "promotion").get(
        pk=job.payload["deployment"]
    )
    if deployment.status not in ROLLING_OUT:
        return _result(deployment)
    try:
        _carry(job, deployment)
    except CanaryPaused as paused:
        _note(deployment, str(paused))
        raise Wait(str(paused), seconds=LOOK_SECONDS) from paused
    except Wait as waiting:
        _note(deployment, str(waiting))
        raise
    except _FINAL as error:
        job.log(f"Failed: {error}")
        deployment = fail_rollout(deployment=deployment, actor=job.actor, reason=str(error))
    return _result(deployment)


def _carry(job: JobContext, deployment: Deployment) -> None:
    canary = Canary.objects.filter(deployment=deployment).first()
    health = deployment.health_detail if canary else _bring_up(job, deployment)
    if deployment.strategy == Strategy.CANARY:
        health = _climb(job, deployment, canary, health)
    job.progress("Switching", 3, STEPS)
    _wait_while_hidden(deployment)
    activate(deployment=deployment, actor=job.actor, health=health)
    if checks.wait_until_served(deployment):
        job.log("The gateway serves it.")
    else:
        job.log("The gateway has not switched yet; the watch looks after it.")
    job.finished(STEPS)


def _bring_up(job: JobContext, deployment: Deployment) -> str:
    """Have the gateway load and try it; says what was checked."""
    job.progress("Packaging", 0, STEPS)
    _wait_while_hidden(deployment)
    files = _package(deployment)
    job.log(f"The files match sha256:{deployment.artifact_digest}.")
    job.progress("Loading in the gateway", 1, STEPS)
    Deployment.objects.filter(pk=deployment.pk, status=DeploymentStatus.PENDING).update(
        status=DeploymentStatus.DEPLOYING
    )
    checks.wait_until_loaded(deployment, job=job.id, alive=job.raise_if_cancelled)
    job.progress("Checking health", 2, STEPS)
    health = checks.try_example(deployment, files)
    job.log(health)
    return health


def _climb(job: JobContext, deployment: Deployment, canary: Canary | None, health: str) -> str:
    """Answer a growing share of the callers; returns, with what was measured, after the last step.

    Raises Wait within a step, and Unfit for what was measured of it.
    """
    promotion = deployment.promotion
    if promotion is None or promotion.state != PromotionState.APPROVED:
        raise Conflict("Its promotion is not waiting to be carried out any more.")
    if canary is None:
        limits = canary_limits(promotion)
        if limits is None or champion_of(deployment) is None:
            job.log("Nothing else answers there, so it begins with all callers.")
            Deployment.objects.filter(pk=deployment.pk).update(strategy=Strategy.BLUE_GREEN)
            deployment.strategy = Strategy.BLUE_GREEN
            return health
        canary = begin_canary(deployment=deployment, limits=limits, actor=job.actor, health=health)
    while _held(job, canary):
        if canary.step + 1 == len(canary.limits["steps"]):
            break
        canary = widen_canary(canary=canary, actor=job.actor)
    return f"{health} {_said(canary)}"


def _held(job: JobContext, canary: Canary) -> bool:
    """The present step is complete, and nothing speaks against the next."""
    now, share = timezone.now(), canary.limits["steps"][canary.step]
    job.progress(f"Answering {share} % of the callers", 3, STEPS)
    traffic = step_traffic(canary, now)
    if reason := why_end(canary, traffic, champion_of(canary.deployment), now):
        raise checks.Unfit(f"With {share} % of the callers: {reason}")
    _wait_while_hidden(canary.deployment)
    if canary.state == CanaryState.PAUSED:
        raise CanaryPaused(canary)
    if missing := still_missing(canary, traffic, now):
        message = f"With {share} % of the callers: so far {missing}."
        raise Wait(message, seconds=LOOK_SECONDS)
    job.log(f"{share} % of the callers: {traffic.requests} requests, {traffic.errors} failed.")
    return True


def _said(canary: Canary) -> str:
    """What a canary that came to its end has shown."""
    limits = CanaryLimits.from_json(canary.limits)
    shares = ", ".join(map(str, limits.steps))
    requests, errors = answered(canary.deployment)
    return f"As a canary, {shares} % of the callers: {requests} requests, {errors} failed."


def _wait_while_hidden(deployment: Deployment) -> None:
    """What is approved stays approved while nobody can say whether the version is still there."""
    if RegisteredModel.objects.filter(name=deployment.entry.model_id).exclude(hidden_since=None):
        raise Wait(f"Waits for MLflow to show the model: {HIDDEN}", seconds=30)


def _package(deployment: Deployment) -> Path:
    try:
        return checks.package(deployment)
    except Rejected as error:
        if not error.is_access:
            raise
        raise Wait(f"Waits for MLflow to hand out the files: {error}", seconds=30) from error


def _note(deployment: Deployment, message: str) -> None:
    """Show on the pages what the roll-out waits for."""
    Deployment.objects.filter(pk=deployment.pk, status__in=ROLLING_OUT).update(
        status_reason=message
    )
    if deployment.promotion is not None:
        note_rollout(promotion=deployment.promotion, message=message)


def _result(deployment: Deployment) -> dict[str, Any]:
    deployment.refresh_from_db()
    return {
        "deployment": deployment.pk,
        "status": deployment.status,
        "reason": deployment.status_reason,
    }
