"""A canary begins, widens, is held or ends. The roll-out's job judges it; people may hold it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import transaction
from django.utils import timezone

from deployments import trail_events
from deployments.actions.finish_rollout import fail_rollout
from deployments.canary import CanaryLimits, CanaryPaused, answered, step_row, step_traffic
from deployments.choices import CanaryState, DeploymentStatus
from deployments.models import Canary, Deployment
from deployments.policies import may_abort_canary, may_pause_canary, may_resume_canary
from e2i_site.core.errors import Conflict, InvalidInput
from e2i_site.trail.record import record
from registry.locks import lock_model

if TYPE_CHECKING:
    from django.contrib.auth.models import User


@transaction.atomic
def begin_canary(
    *, deployment: Deployment, limits: CanaryLimits, actor: User | None, health: str
) -> Canary:
    """Let the deployment, which the gateway has loaded and checked, answer the first share.

    Raises Conflict when it is not being rolled out any more.
    """
    lock_model(deployment.entry.model_id)
    now = timezone.now()
    share = limits.steps[0]
    begun = Deployment.objects.filter(pk=deployment.pk, status=DeploymentStatus.DEPLOYING).update(
        canary_share=share, health_detail=health, health_checked_at=now, status_reason=""
    )
    if not begun:
        raise Conflict("The deployment is not being rolled out any more.")
    requests, errors = answered(deployment)
    canary = Canary.objects.create(
        deployment=deployment,
        limits=limits.to_json(),
        began_at=now,
        step_began_at=now,
        requests_before=requests,
        errors_before=errors,
    )
    record(
        trail_events.CANARY_BEGUN,
        actor=actor,
        subject=deployment,
        new={"share": share, "limits": canary.limits},
        reason=health,
    )
    return canary


@transaction.atomic
def widen_canary(*, canary: Canary, actor: User | None) -> Canary:
    """On to the next share, after a step that held.

    Raises CanaryPaused, or Conflict when it ended or moved on meanwhile.
    """
    step = canary.step
    canary = _locked(canary)
    if canary.state == CanaryState.PAUSED:
        raise CanaryPaused(canary)
    if canary.state != CanaryState.RUNNING or canary.step != step:
        raise Conflict("The canary ended or moved on meanwhile.")
    now = timezone.now()
    measured = step_row(canary, step_traffic(canary, now), now)
    share = canary.limits["steps"][step + 1]
    canary.measured = [*canary.measured, measured]
    canary.step = step + 1
    canary.step_began_at = now
    canary.requests_before += measured["requests"]
    canary.errors_before += measured["errors"]
    canary.save()
    Deployment.objects.filter(pk=canary.deployment_id).update(canary_share=share)
    record(
        trail_events.CANARY_WIDENED,
        actor=actor,
        subject=canary.deployment,
        old=measured,
        new={"share": share},
    )
    return canary


@transaction.atomic
def pause_canary(*, canary: Canary, actor: User, reason: str) -> Canary:
    """Stay at the present share until it is resumed. Raises Refused, or InvalidInput."""
    reason = _reason(reason)
    canary = _locked(canary)
    may_pause_canary(actor, canary).enforce()
    canary.state, canary.pause_reason = CanaryState.PAUSED, reason[:500]
    canary.save(update_fields=["state", "pause_reason"])
    record(trail_events.CANARY_PAUSED, actor=actor, subject=canary.deployment, reason=reason)
    return canary


@transaction.atomic
def resume_canary(*, canary: Canary, actor: User, reason: str) -> Canary:
    """Go on with the present step. Raises Refused, or InvalidInput without a reason."""
    reason = _reason(reason)
    canary = _locked(canary)
    may_resume_canary(actor, canary).enforce()
    canary.state, canary.pause_reason = CanaryState.RUNNING, ""
    canary.save(update_fields=["state", "pause_reason"])
    record(trail_events.CANARY_RESUMED, actor=actor, subject=canary.deployment, reason=reason)
    return canary


@transaction.atomic
def abort_canary(*, canary: Canary, actor: User, reason: str) -> Deployment:
    """End the roll-out: the version before answers all callers again, within about a second.

    Raises Refused, or InvalidInput without a reason.
    """
    reason = _reason(reason)
    canary = _locked(canary)
    may_abort_canary(actor, canary).enforce()
    return fail_rollout(deployment=canary.deployment, actor=actor, reason=f"Aborted: {reason}")


def _reason(reason: str) -> str:
    if not reason.strip():
        raise InvalidInput("Say why; it goes on record.", field="reason")
    return reason.strip()


def _locked(canary: Canary) -> Canary:
    lock_model(canary.deployment.entry.model_id)
    return (
        Canary.objects.select_for_update(of=("self",))
        .select_related("deployment__entry", "deployment__promotion__policy")
        .get(pk=canary.pk)
    )
