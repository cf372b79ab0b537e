"""A roll-out as a job: package → load → health check → switch, all or nothing."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

from deployments import checks
from deployments.actions.finish_rollout import ROLLING_OUT, activate, fail_rollout
from deployments.choices import DeploymentStatus
from deployments.models import Deployment
from deployments.store import DigestMismatch
from e2i_site.core.errors import Conflict, InvalidInput, Refused
from e2i_site.jobs.handlers import Cancelled, Wait
from e2i_site.jobs.runner import JobContext
from e2i_site.mlflow_connector import NotFound, Rejected
from registry.actions.fail_promotion import note_rollout
from registry.models import RegisteredModel
from registry.policies import HIDDEN

STEPS = 4
# What ends a roll-out for good: trying again would give the same answer.
_FINAL = (checks.Unfit, DigestMismatch, NotFound, Rejected, Refused, Conflict, InvalidInput)


def roll_out(job: JobContext) -> dict[str, Any]:
    """Carry one deployment into serving. Safe to repeat from any point.

    Raises Wait, noted on deployment and promotion, while MLflow or the gateway is away, or MLflow
    hides the model.
    """
    deployment = Deployment.objects.select_related("entry", "promotion").get(
        pk=job.payload["deployment"]
    )
    if deployment.status not in ROLLING_OUT:
        return _result(deployment)
    try:
        _carry(job, deployment)
    except Wait as waiting:
        _note(deployment, str(waiting))
        raise
    except _FINAL as error:
        job.log(f"Failed: {error}")
        deployment = fail_rollout(deployment=deployment, actor=job.actor, reason=str(error))
    return _result(deployment)


def _carry(job: JobContext, deployment: Deployment) -> None:
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
    job.progress("Switching", 3, STEPS)
    _wait_while_hidden(deployment)
    activate(deployment=deployment, actor=job.actor, health=health)
    if checks.wait_until_served(deployment):
        job.log("The gateway serves it.")
    else:
        job.log("The gateway has not switched yet; the watch looks after it.")
    with suppress(Cancelled):  # too late: it is switched
        job.progress("Done", STEPS, STEPS)


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
