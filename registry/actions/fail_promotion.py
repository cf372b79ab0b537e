"""Say what became of a roll-out that did not succeed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import transaction

from e2i_site.core.errors import Conflict
from e2i_site.trail.record import record
from registry import trail_events
from registry.actions import tell
from registry.actions.void_approvals import void_changed
from registry.choices import PromotionState
from registry.locks import lock_model
from registry.models import Promotion

if TYPE_CHECKING:
    from django.contrib.auth.models import User


@transaction.atomic
def fail_promotion(*, promotion: Promotion, actor: User | None, reason: str) -> Promotion:
    """End an approved promotion whose roll-out failed; the stage stays as it was."""
    lock_model(promotion.entry.model_id)
    failed = Promotion.objects.filter(pk=promotion.pk, state=PromotionState.APPROVED).update(
        state=PromotionState.FAILED, state_reason=reason
    )
    if not failed:
        raise Conflict(f"Promotion {promotion.pk} is not rolling out.")
    void_changed(promotion)
    record(trail_events.PROMOTION_FAILED, actor=actor, subject=promotion, reason=reason)
    promotion.refresh_from_db()
    tell.carried_out(promotion, actor=actor)
    return promotion


def note_rollout(*, promotion: Promotion, message: str) -> None:
    """Show on the promotion's page what its roll-out waits for; not an event of the trail."""
    Promotion.objects.filter(pk=promotion.pk, state=PromotionState.APPROVED).update(
        state_reason=message
    )
