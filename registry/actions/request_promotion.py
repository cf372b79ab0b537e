"""Ask that a version moves to a stage."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import IntegrityError, transaction

from e2i_site.core.errors import Conflict, InvalidInput
from e2i_site.jobs.enqueue import enqueue
from e2i_site.trail.record import record
from registry import trail_events
from registry.actions import tell
from registry.actions.refresh_gates import refresh_gates
from registry.actions.stages import refuse_if_taken
from registry.choices import PromotionState, ReviewDecision, Stage
from registry.governing import governing_policy
from registry.locks import lock_model
from registry.models import Promotion, PromotionPolicy, RegistryEntry
from registry.policies import may_request

if TYPE_CHECKING:
    from django.contrib.auth.models import User


@transaction.atomic
def request_promotion(
    *, entry: RegistryEntry, to_stage: str, reason: str, requester: User
) -> Promotion:
    """Open a promotion and evaluate its gates.

    Raises `Refused` when the requester may not ask or the move is illegal, `InvalidInput` for an
    empty reason or an unknown stage, `Conflict` when such a promotion is open already.
    """
    if to_stage not in Stage.values:
        raise InvalidInput(f"No stage is called {to_stage!r}.", field="to_stage")
    if not reason.strip():
        raise InvalidInput("Say why this version should move.", field="reason")
    lock_model(entry.model_id)
    entry = RegistryEntry.objects.select_for_update(of=("self",)).get(pk=entry.pk)
    may_request(requester, entry, to_stage).enforce()
    refuse_if_taken(entry, to_stage)
    promotion = Promotion(
        entry=entry,
        from_stage=entry.stage,
        to_stage=to_stage,
        requester=requester,
        reason=reason.strip(),
        policy=_policy_for(entry, to_stage),
        artifact_digest=entry.artifact_digest,
        previous_deciders=_deciders_before(entry),
    )
    try:
        with transaction.atomic():
            promotion.save()
    except IntegrityError:
        raise Conflict(f"A promotion of {entry} to {to_stage} is open already.") from None
    record(
        trail_events.PROMOTION_REQUESTED,
        actor=requester,
        subject=promotion,
        new={
            "from": entry.stage,
            "to": to_stage,
            "digest": entry.artifact_digest,
            "policy": str(promotion.policy),
        },
        reason=promotion.reason,
    )
    enqueue("registry.publish_governed", key="registry.publish_governed")
    if not entry.artifact_digest:
        enqueue(
            "registry.fingerprint",
            payload={"entry": entry.pk},
            subject=f"entry:{entry.pk}",
            actor=requester,
            key=f"fingerprint:{entry.pk}",
        )
    tell.review_needed(promotion, actor=requester, text=promotion.reason)
    return refresh_gates(promotion=promotion)


def _deciders_before(entry: RegistryEntry) -> list[int]:
    """Who approved the version's last promotion that was carried out."""
    last = entry.promotions.filter(state=PromotionState.APPLIED).order_by("-applied_at").first()
    if last is None:
        return []
    counted = last.reviews.filter(
        decision=ReviewDecision.APPROVE, void_reason="", binding_hash=last.binding_hash
    )
    return sorted(set(counted.values_list("reviewer_id", flat=True)))


def _policy_for(entry: RegistryEntry, to_stage: str) -> PromotionPolicy:
    governing = governing_policy(entry.model)
    policy = governing.policy
    if policy is None or policy.for_stage(to_stage) is None:
        raise InvalidInput(
            f"Policy {governing.name!r} has no rules for promotions to {to_stage}; an "
            "administrator must publish some or choose another policy for the model."
        )
    return policy
