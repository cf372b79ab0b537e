"""A rollback as a job, and whether one is possible right now, from facts."""

from __future__ import annotations

from typing import Any

from django.utils import timezone

from deployments import checks
from deployments.actions.roll_back import fail_rollback, keep_warm, switch_back
from deployments.choices import DeploymentStatus
from deployments.models import Deployment
from deployments.policies import may_roll_back
from deployments.store import DigestMismatch
from e2i_site.core.errors import Conflict, InvalidInput, Refused
from e2i_site.jobs.handlers import Permanent
from e2i_site.jobs.runner import JobContext
from e2i_site.mlflow_connector import NotFound, Rejected

STEPS = 4
_FINAL = (checks.Unfit, DigestMismatch, NotFound, Rejected, Refused, Conflict, InvalidInput)


def roll_back(job: JobContext) -> dict[str, Any]:
    """Put the previous deployment back. Safe to repeat; nothing changes unless it is healthy.

    Raises Wait while the gateway (or MLflow, where the bytes are gone here) is away, and
    Permanent, on record, when there is no way back.
    """
    deployment = _load(job.payload["deployment"])
    if deployment.status == DeploymentStatus.ROLLED_BACK:
        return {"deployment": deployment.pk, "active": deployment.previous_deployment_id}
    try:
        restored = _carry(job, deployment)
    except _FINAL as error:
        fail_rollback(deployment=deployment, actor=job.actor, reason=str(error))
        raise Permanent(f"The rollback is not possible: {error}") from error
    return {"deployment": deployment.pk, "active": restored.pk}


def _carry(job: JobContext, deployment: Deployment) -> Deployment:
    may_roll_back(None, deployment).enforce()
    previous = deployment.previous_deployment
    assert previous is not None
    job.progress("Verifying the previous bytes", 0, STEPS)
    files = checks.package(previous)
    job.log(f"The files match sha256:{previous.artifact_digest}.")
    job.progress("Loading in the gateway", 1, STEPS)
    keep_warm(deployment=previous)
    checks.wait_until_loaded(previous, job=job.id, alive=job.raise_if_cancelled)
    job.progress("Checking health", 2, STEPS)
    health = checks.try_example(previous, files)
    job.progress("Switching", 3, STEPS)
    restored = switch_back(
        deployment=deployment, actor=job.actor, reason=job.payload["reason"], health=health
    )
    if not checks.wait_until_served(restored):
        job.log("The gateway has not switched yet; the watch looks after it.")
    job.finished(STEPS)
    return restored


def readiness(deployment: Deployment) -> tuple[bool, str]:
    """Whether a rollback of this active deployment would succeed, and why (not).

    The previous deployment exists, its version may return, and its stored bytes verify.
    """
    decision = may_roll_back(None, deployment)
    if not decision:
        return False, decision.reason
    previous = deployment.previous_deployment
    assert previous is not None
    check = checks.artifact_store().verify(previous.artifact_digest)
    return check.ok, f"{previous.entry}: {check.message}"


def refresh_readiness(deployment: Deployment) -> None:
    """Store `readiness` on the deployment."""
    available, detail = readiness(deployment)
    Deployment.objects.filter(pk=deployment.pk).update(
        rollback_available=available,
        rollback_detail=detail,
        rollback_checked_at=timezone.now(),
    )


def _load(pk: int) -> Deployment:
    return Deployment.objects.select_related("entry", "previous_deployment__entry").get(pk=pk)
