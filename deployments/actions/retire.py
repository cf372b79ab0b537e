"""Ends of deployments that nobody needs any more."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import transaction
from django.utils import timezone

from deployments import trail_events
from deployments.actions.finish_rollout import fail_rollout
from deployments.actions.windows import close_window
from deployments.choices import DeploymentStatus
from deployments.models import Deployment
from deployments.policies import may_retire
from e2i_site.core.errors import InvalidInput
from e2i_site.trail.record import record
from registry.choices import Stage
from registry.locks import lock_model
from registry.models import RegistryEntry

if TYPE_CHECKING:
    from django.contrib.auth.models import User


@transaction.atomic
def retire_deployment(*, deployment: Deployment, actor: User | None, reason: str) -> Deployment:
    """Let the gateway forget a deployment that is only kept warm. Raises Refused, InvalidInput."""
    if not reason.strip():
        raise InvalidInput("Say why it is stopped; it goes on record.", field="reason")
    lock_model(deployment.entry.model_id)
    deployment = Deployment.objects.select_for_update(of=("self",)).get(pk=deployment.pk)
    may_retire(actor, deployment).enforce()
    return _retire(deployment, actor, reason.strip())


def left_stage(
    entry: RegistryEntry, stage: str, actor: User | None, reason: str, *, stopped: bool = False
) -> None:
    """Stop what served `entry` in `stage`, inside the transaction that moved it away.

    `stopped` in an emergency: the gateway goes on saying so at its endpoint. A canary ends, too.
    """
    for canary in Deployment.objects.filter(entry=entry, canary_share__gt=0):
        fail_rollout(deployment=canary, actor=actor, reason=reason)
    status = DeploymentStatus.STOPPED if stopped else DeploymentStatus.RETIRED
    serving = Deployment.objects.select_for_update(of=("self",)).filter(
        entry=entry, status=DeploymentStatus.ACTIVE
    )
    for deployment in serving:
        if deployment.is_shadow == (stage == Stage.SHADOW):
            if deployment.is_shadow:
                close_window(deployment=deployment, actor=actor, reason=reason)
            _retire(deployment, actor, reason, status)


def _retire(
    deployment: Deployment,
    actor: User | None,
    reason: str,
    status: DeploymentStatus = DeploymentStatus.RETIRED,
) -> Deployment:
    old, deployment.status = deployment.status, status
    deployment.status_reason = reason if status == DeploymentStatus.STOPPED else ""
    deployment.deactivated_at = deployment.deactivated_at or timezone.now()
    deployment.save(update_fields=["status", "status_reason", "deactivated_at"])
    record(
        trail_events.STOPPED if status == DeploymentStatus.STOPPED else trail_events.RETIRED,
        actor=actor,
        subject=deployment,
        old={"status": old},
        new={"status": deployment.status},
        reason=reason,
    )
    return deployment
