"""The two ends of a roll-out: everything changes in one transaction, or nothing does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import transaction
from django.utils import timezone

from deployments import trail_events
from deployments.actions.begin_rollout import shadow_limits
from deployments.actions.windows import close_window, open_window
from deployments.canary import CanaryPaused, step_row, step_traffic
from deployments.choices import CanaryState, DeploymentStatus
from deployments.mlflow_runs import ACTIVATED, FAILED, ask_for_run
from deployments.models import Canary, Deployment
from e2i_site.core.errors import Conflict
from e2i_site.trail.record import record
from registry.actions.apply_promotion import apply_promotion
from registry.actions.fail_promotion import fail_promotion
from registry.choices import PromotionState
from registry.locks import lock_model

if TYPE_CHECKING:
    from django.contrib.auth.models import User

ROLLING_OUT = (DeploymentStatus.PENDING, DeploymentStatus.DEPLOYING)


@transaction.atomic
def activate(*, deployment: Deployment, actor: User | None, health: str) -> Deployment:
    """Stage, deployment and traffic change together, after the health check.

    `health` says what was checked. The gateway reads the new routes within about a second; the
    deployment before stays warm. Raises CanaryPaused, Conflict or Refused, with nothing changed.
    """
    deployment = _locked(deployment)
    promotion = deployment.promotion
    if promotion is None:
        raise Conflict("The deployment belongs to no promotion.")
    now = apply_promotion(promotion=promotion, actor=actor).applied_at
    previous = None if deployment.is_shadow else _replace_present(deployment, actor)
    if not deployment.is_shadow:
        _end_shadows(deployment, actor)
    _end_canary(deployment, CanaryState.DONE)
    deployment.status = DeploymentStatus.ACTIVE
    deployment.status_reason = ""
    deployment.previous_deployment = previous
    deployment.deployed_at = deployment.health_checked_at = now
    deployment.health_detail = health
    deployment.save()
    record(
        trail_events.ACTIVATED,
        actor=actor,
        subject=deployment,
        old={"deployment": str(previous) if previous else None},
        new={"strategy": deployment.strategy, "digest": deployment.artifact_digest},
        reason=health,
    )
    ask_for_run(deployment, ACTIVATED, actor=actor, reason=promotion.reason)
    if deployment.is_shadow:
        limits = shadow_limits(promotion)
        open_window(deployment=deployment, policy=promotion.policy, limits=limits, actor=actor)
    return deployment


@transaction.atomic
def fail_rollout(*, deployment: Deployment, actor: User | None, reason: str) -> Deployment:
    """The roll-out ends here; what served before serves on, the stage stays."""
    deployment = _locked(deployment)
    _end_canary(deployment, CanaryState.ENDED)
    deployment.status = DeploymentStatus.FAILED
    deployment.status_reason = reason
    deployment.deactivated_at = timezone.now()
    deployment.save(update_fields=["status", "status_reason", "deactivated_at", "canary_share"])
    record(trail_events.FAILED, actor=actor, subject=deployment, reason=reason)
    ask_for_run(deployment, FAILED, actor=actor, reason=reason)
    promotion = deployment.promotion
    if promotion is not None and promotion.state == PromotionState.APPROVED:
        fail_promotion(promotion=promotion, actor=actor, reason=reason)
    return deployment


def _locked(deployment: Deployment) -> Deployment:
    lock_model(deployment.entry.model_id)
    found = (
        Deployment.objects.select_for_update(of=("self",))
        .select_related("entry", "promotion__policy", "promotion__entry")
        .get(pk=deployment.pk)
    )
    if found.status not in ROLLING_OUT:
        raise Conflict(f"The deployment is {found.get_status_display().lower()} already.")
    return found


def _end_canary(deployment: Deployment, state: CanaryState) -> None:
    """No share any more; the caller saves the deployment."""
    deployment.canary_share, now = 0, timezone.now()
    canary = Canary.objects.select_for_update().filter(deployment=deployment).first()
    if canary is not None:
        if canary.state == CanaryState.PAUSED and state == CanaryState.DONE:
            raise CanaryPaused(canary)
        measured = step_row(canary, step_traffic(canary, now), now)
        canary.measured = [*canary.measured, measured]
        canary.state, canary.ended_at = state, now
        canary.save(update_fields=["measured", "state", "ended_at"])


def _replace_present(deployment: Deployment, actor: User | None) -> Deployment | None:
    """Stop the present active deployment of the endpoint from answering; keep it warm."""
    present = (
        Deployment.objects.serving()
        .select_for_update(of=("self",))
        .filter(endpoint_name=deployment.endpoint_name, environment=deployment.environment)
        .first()
    )
    if present is None:
        return None
    present.status = DeploymentStatus.DRAINING
    present.deactivated_at = timezone.now()
    present.save(update_fields=["status", "deactivated_at"])
    record(
        trail_events.SUPERSEDED,
        actor=actor,
        subject=present,
        new={"replaced_by": str(deployment)},
    )
    return present


def _end_shadows(deployment: Deployment, actor: User | None) -> None:
    """The version leaves the shadow for production."""
    shadows = Deployment.objects.shadowing().select_for_update(of=("self",))
    for shadow in shadows.filter(entry=deployment.entry):
        close_window(deployment=shadow, actor=actor, reason="The version went into production.")
        shadow.status = DeploymentStatus.RETIRED
        shadow.deactivated_at = timezone.now()
        shadow.save(update_fields=["status", "deactivated_at"])
        record(trail_events.RETIRED, actor=actor, subject=shadow)
