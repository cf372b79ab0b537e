"""Carry out an approved promotion: the stage changes, and what depended on it follows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import transaction
from django.utils import timezone

from e2i_site.core.errors import Conflict, Refused
from e2i_site.trail.record import record
from registry import rollouts, trail_events
from registry.actions import tell
from registry.actions.stages import change_stage, make_room, refuse_if_taken
from registry.actions.void_approvals import changes_since_approval
from registry.choices import RESTORES, PromotionState, Stage, StageCause
from registry.locks import lock_model
from registry.models import Promotion, RegistryEntry
from registry.policies import illegal_reason, is_legal, out_of_sight

if TYPE_CHECKING:
    from django.contrib.auth.models import User


@transaction.atomic
def apply_promotion(*, promotion: Promotion, actor: User | None) -> Promotion:
    """Move the version to the promotion's stage.

    For production, the present production version of the same model is archived in the same
    transaction. Raises `Conflict` when the promotion is not approved or the version moved, and
    `Refused` when MLflow deleted or hides it, or its bytes, a gate's evidence or the policy are not
    what was approved.
    """
    lock_model(promotion.entry.model_id)
    entry = (
        RegistryEntry.objects.select_for_update(of=("self",))
        .select_related("model", "experiment", "training_run__dataset")
        .get(pk=promotion.entry_id)
    )
    # Break-glass answers for the evidence as it is; for the files there is no way past.
    changed = [] if promotion.past_gates else changes_since_approval(promotion, entry)
    now = timezone.now()
    done = Promotion.objects.filter(pk=promotion.pk, state=PromotionState.APPROVED).update(
        state=PromotionState.APPLIED, state_reason="", applied_at=now
    )
    if not done:
        raise Conflict(f"Promotion {promotion.pk} is not waiting to be carried out.")
    if entry.stage != promotion.from_stage:
        raise Conflict(f"{entry} is in {entry.stage}, no longer in {promotion.from_stage}.")
    if not is_legal(entry.stage, promotion.to_stage):
        raise Refused([illegal_reason(entry.stage, promotion.to_stage)])
    if unseen := out_of_sight(entry):
        raise Refused([unseen])
    if entry.artifact_digest != promotion.artifact_digest:
        changed.insert(0, f"The files of {entry} are not the ones that were approved.")
    if changed:
        raise Refused(["What was approved is no longer so.", *changed])
    refuse_if_taken(entry, promotion.to_stage)
    if promotion.to_stage == Stage.PRODUCTION:
        make_room(entry=entry, promotion=promotion, actor=actor, at=now)
    left = entry.stage
    change_stage(
        entry=entry,
        to_stage=promotion.to_stage,
        cause=StageCause.RESTORE if left in RESTORES else StageCause.PROMOTION,
        actor=actor,
        reason=promotion.reason,
        promotion=promotion,
        at=now,
    )
    record(
        trail_events.PROMOTION_APPLIED,
        actor=actor,
        subject=promotion,
        old={"stage": promotion.from_stage},
        new={"stage": promotion.to_stage},
    )
    if promotion.to_stage == Stage.ARCHIVED:
        rollouts.left(entry, left, actor, promotion.reason)
    promotion.refresh_from_db()
    tell.carried_out(promotion, actor=actor)
    return promotion
