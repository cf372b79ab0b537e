"""Back to the previous deployment: its exact bytes, with database, alias and traffic together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import transaction
from django.utils import timezone

from deployments import trail_events
from deployments.choices import DeploymentStatus
from deployments.mlflow_runs import ROLLED_BACK, ask_for_run
from deployments.models import Deployment
from deployments.policies import may_roll_back
from e2i_site.core.errors import Conflict, InvalidInput
from e2i_site.jobs.enqueue import enqueue
from e2i_site.jobs.models import Job
from e2i_site.trail.record import record
from registry.actions.restore_version import restore_version
from registry.locks import lock_model

if TYPE_CHECKING:
    from django.contrib.auth.models import User


@transaction.atomic
def request_rollback(*, deployment: Deployment, actor: User | None, reason: str) -> Job:
    """Ask for a rollback of the active deployment; a job verifies, loads, checks and switches.

    `actor` None is E2I itself, after measured failures. Raises Refused, or InvalidInput without
    a reason. Asked twice, the job that is under way is returned.
    """
    if not reason.strip():
        raise InvalidInput("Say why it is rolled back; it goes on record.", field="reason")
    deployment = _with_versions(deployment)
    may_roll_back(actor, deployment).enforce()
    key = f"roll_back:{deployment.pk}"
    if under_way := Job.objects.unfinished().filter(key=key).first():
        return under_way
    record(
        trail_events.ROLLBACK_REQUESTED,
        actor=actor,
        subject=deployment,
        new={"to": str(deployment.previous_deployment)},
        reason=reason.strip(),
    )
    return enqueue(
        "deployments.roll_back",
        payload={"deployment": deployment.pk, "reason": reason.strip()},
        subject=f"endpoint:{deployment.endpoint_name}",
        key=key,
        actor=actor,
    )


@transaction.atomic
def switch_back(
    *, deployment: Deployment, actor: User | None, reason: str, health: str
) -> Deployment:
    """Restore the previous deployment, which the gateway has loaded and checked (`health`).

    Stages, deployments and the wish for MLflow's aliases change in this transaction; the gateway
    follows within about a second. Raises Refused or Conflict, with nothing changed.
    """
    deployment = _with_versions(deployment)
    may_roll_back(None, deployment).enforce()
    previous = deployment.previous_deployment
    assert previous is not None
    if previous.artifact_digest != previous.entry.artifact_digest:
        raise Conflict(f"{previous.entry} has other files now than when it was deployed.")
    restored = restore_version(
        entry=previous.entry, replaced=deployment.entry, actor=actor, reason=reason
    )
    now = restored.promoted_at
    deployment.status = DeploymentStatus.ROLLED_BACK
    deployment.rollback_reason = reason
    deployment.rolled_back_at = deployment.deactivated_at = now
    deployment.rollback_available = False
    deployment.save()
    previous.status = DeploymentStatus.ACTIVE
    previous.status_reason = ""
    previous.deactivated_at = None
    previous.health_failures = 0
    previous.health_checked_at, previous.health_detail = now, health
    previous.save()
    record(
        trail_events.ROLLED_BACK,
        actor=actor,
        subject=deployment,
        old={"active": str(deployment), "digest": deployment.artifact_digest},
        new={"active": str(previous), "digest": previous.artifact_digest},
        reason=reason,
    )
    record(trail_events.RESTORED, actor=actor, subject=previous, reason=health)
    ask_for_run(deployment, ROLLED_BACK, actor=actor, reason=reason)
    return previous


def keep_warm(*, deployment: Deployment) -> None:
    """Have the gateway load a retired deployment again, or keep it, before it takes over."""
    Deployment.objects.filter(
        pk=deployment.pk, status__in=(DeploymentStatus.RETIRED, DeploymentStatus.DRAINING)
    ).update(status=DeploymentStatus.DRAINING, deactivated_at=timezone.now())


@transaction.atomic
def fail_rollback(*, deployment: Deployment, actor: User | None, reason: str) -> None:
    """Record that the previous deployment could not take over; nothing else changed."""
    Deployment.objects.filter(pk=deployment.pk).update(
        rollback_available=False, rollback_checked_at=timezone.now(), rollback_detail=reason
    )
    record(trail_events.ROLLBACK_FAILED, actor=actor, subject=deployment, reason=reason)


def _with_versions(deployment: Deployment) -> Deployment:
    lock_model(deployment.entry.model_id)
    return (
        Deployment.objects.select_for_update(of=("self",))
        .select_related("entry", "previous_deployment__entry")
        .get(pk=deployment.pk)
    )
