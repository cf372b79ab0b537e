"""Moving a version between stages. Called by the actions that have decided it may move."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from django.utils import timezone

from e2i_site.core.errors import Conflict, Refused
from e2i_site.jobs.enqueue import enqueue
from e2i_site.trail.record import record
from registry import trail_events
from registry.choices import PromotionState, Stage, StageCause
from registry.models import Promotion, RegistryEntry, StageChange

if TYPE_CHECKING:
    from django.contrib.auth.models import User


def change_stage(
    *,
    entry: RegistryEntry,
    to_stage: str,
    cause: str,
    actor: User | None,
    reason: str,
    promotion: Promotion | None = None,
    at: datetime | None = None,
) -> RegistryEntry:
    """Move `entry`, inside the caller's transaction; raise `Conflict` if it moved meanwhile.

    A swap gives both of its changes the same `at`: nobody ever saw one without the other.
    """
    from_stage = entry.stage
    now = at or timezone.now()
    moved = RegistryEntry.objects.filter(pk=entry.pk, stage=from_stage).update(
        stage=to_stage, is_champion=to_stage == Stage.PRODUCTION, promoted_at=now
    )
    if not moved:
        raise Conflict(f"{entry} is no longer in {from_stage}; somebody moved it.")
    entry.stage, entry.promoted_at = to_stage, now
    StageChange.objects.create(
        entry=entry,
        from_stage=from_stage,
        to_stage=to_stage,
        cause=cause,
        promotion=promotion,
        actor=actor,
        reason=reason,
        at=now,
    )
    record(
        trail_events.STAGE_CHANGED,
        actor=actor,
        subject=entry,
        old={"stage": from_stage},
        new={"stage": to_stage, "cause": cause, "promotion": promotion and promotion.pk},
        reason=reason,
    )
    _supersede_open(entry, actor)
    carry_to_mlflow(entry.model_id, actor=actor)
    return entry


def make_room(
    *, entry: RegistryEntry, promotion: Promotion, actor: User | None, at: datetime
) -> None:
    """Archive the version of the same model that is in production now."""
    present = RegistryEntry.objects.select_for_update().filter(
        model__name=entry.model_id, stage=Stage.PRODUCTION
    )
    for other in present.exclude(pk=entry.pk):
        change_stage(
            entry=other,
            to_stage=Stage.ARCHIVED,
            cause=StageCause.SUCCESSOR,
            actor=actor,
            reason=f"{entry} takes its place.",
            promotion=promotion,
            at=at,
        )


def refuse_if_taken(entry: RegistryEntry, to_stage: str) -> None:
    """Raise `Refused` when another version of the model is in shadow: there is one place."""
    if to_stage != Stage.SHADOW:
        return
    others = RegistryEntry.objects.filter(model__name=entry.model_id, stage=Stage.SHADOW)
    if other := others.exclude(pk=entry.pk).first():
        raise Refused([f"{other} is in shadow already; promote or archive it first."])


def _supersede_open(entry: RegistryEntry, actor: User | None) -> None:
    """Open requests for the version started from a stage that it has left."""
    for promotion in Promotion.objects.open().select_for_update(of=("self",)).filter(entry=entry):
        promotion.state = PromotionState.SUPERSEDED
        promotion.state_reason = f"The version moved to {entry.stage} first."
        promotion.decided_at = timezone.now()
        promotion.save(update_fields=["state", "state_reason", "decided_at"])
        record(
            trail_events.PROMOTION_SUPERSEDED,
            actor=actor,
            subject=promotion,
            reason=promotion.state_reason,
        )


def carry_to_mlflow(model_name: str, *, actor: User | None) -> None:
    """Have MLflow's aliases and tags follow; one waiting job a model is enough."""
    enqueue(
        "registry.carry_stage",
        payload={"model": model_name},
        subject=f"model:{model_name}",
        actor=actor,
    )
