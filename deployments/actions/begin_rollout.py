"""Start carrying an approved promotion into serving."""

from __future__ import annotations

from typing import TYPE_CHECKING

from deployments import trail_events
from deployments.canary import canary_limits
from deployments.choices import DeploymentStatus, Environment, Strategy
from deployments.endpoints import endpoint_for, endpoint_url
from deployments.models import Deployment
from deployments.shadow.evidence import ShadowLimits
from e2i_site.core.errors import InvalidInput, Refused
from e2i_site.jobs.enqueue import enqueue
from e2i_site.trail.record import record
from registry.choices import ReviewDecision, Stage
from registry.models import Promotion

if TYPE_CHECKING:
    from django.contrib.auth.models import User


def begin_rollout(promotion: Promotion) -> None:
    """Write the deployment and ask for its roll-out, inside the caller's transaction.

    Raises Refused where the version has no digest or its policy has no limits for a shadow.
    """
    entry = promotion.entry
    if not promotion.artifact_digest:
        raise Refused(["The digest of the version's files is not known yet."])
    if promotion.to_stage == Stage.SHADOW:
        shadow_limits(promotion)
    endpoint = endpoint_for(entry.model_id)
    actor = _approver(promotion)
    deployment = Deployment.objects.create(
        entry=entry,
        promotion=promotion,
        deployment_name=f"{endpoint}-v{entry.model_version}-{promotion.to_stage}-p{promotion.pk}",
        environment=Environment.PRODUCTION,
        endpoint_name=endpoint,
        endpoint_url=endpoint_url(endpoint),
        status=DeploymentStatus.PENDING,
        strategy=_strategy(promotion),
        artifact_digest=promotion.artifact_digest,
        deployed_by=actor,
    )
    record(
        trail_events.REQUESTED,
        actor=actor,
        subject=deployment,
        new={"strategy": deployment.strategy, "digest": deployment.artifact_digest},
        reason=promotion.reason,
    )
    enqueue(
        "deployments.roll_out",
        payload={"deployment": deployment.pk},
        subject=f"endpoint:{endpoint}",
        key=f"roll_out:{deployment.pk}",
        actor=actor,
    )


def _strategy(promotion: Promotion) -> Strategy:
    if promotion.to_stage == Stage.SHADOW:
        return Strategy.SHADOW
    return Strategy.CANARY if canary_limits(promotion) else Strategy.BLUE_GREEN


def shadow_limits(promotion: Promotion) -> ShadowLimits:
    """The limits that a shadow window of this promotion freezes: its policy's for production."""
    rules = promotion.policy.for_stage(Stage.PRODUCTION) or {}
    try:
        return ShadowLimits.from_json(rules.get("shadow") or {})
    except InvalidInput as error:
        raise Refused([f"Policy {promotion.policy} has no usable shadow limits: {error}"]) from None


def _approver(promotion: Promotion) -> User:
    """Whose approval started it, or who let it past its gates; else the requester."""
    if promotion.past_gates:
        return promotion.break_glass.actor
    approvals = promotion.reviews.filter(decision=ReviewDecision.APPROVE, void_reason="")
    last = approvals.select_related("reviewer").order_by("-pk").first()
    return last.reviewer if last else promotion.requester
