"""Take a request back, or answer a reviewer who requested changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import transaction
from django.utils import timezone

from e2i_site.core.errors import InvalidInput
from e2i_site.trail.record import record
from registry import trail_events
from registry.actions import tell
from registry.choices import PromotionState, ReviewDecision
from registry.locks import lock_model
from registry.mentions import mentioned
from registry.models import Promotion, Review
from registry.policies import may_resubmit, may_withdraw

if TYPE_CHECKING:
    from django.contrib.auth.models import User


@transaction.atomic
def withdraw_promotion(*, promotion: Promotion, actor: User, reason: str) -> Promotion:
    """End an undecided promotion. Raises `Refused`, or `InvalidInput` without a reason."""
    if not reason.strip():
        raise InvalidInput("Say why it is withdrawn.", field="reason")
    lock_model(promotion.entry.model_id)
    promotion = Promotion.objects.select_for_update(of=("self",)).get(pk=promotion.pk)
    may_withdraw(actor, promotion).enforce()
    promotion.state = PromotionState.WITHDRAWN
    promotion.state_reason = reason.strip()
    promotion.decided_at = timezone.now()
    promotion.save(update_fields=["state", "state_reason", "decided_at"])
    record(trail_events.PROMOTION_WITHDRAWN, actor=actor, subject=promotion, reason=reason)
    return promotion


@transaction.atomic
def resubmit_promotion(*, promotion: Promotion, actor: User, reason: str) -> Promotion:
    """Answer a request for changes; reviewers can decide again."""
    if not reason.strip():
        raise InvalidInput("Say what changed.", field="reason")
    lock_model(promotion.entry.model_id)
    promotion = Promotion.objects.select_for_update(of=("self",)).get(pk=promotion.pk)
    may_resubmit(actor, promotion).enforce()
    promotion.state = PromotionState.OPEN
    promotion.revision += 1
    promotion.save(update_fields=["state", "revision"])
    Review.objects.create(
        promotion=promotion,
        reviewer=actor,
        decision=ReviewDecision.COMMENT,
        reason=reason.strip(),
        revision=promotion.revision,
        binding_hash=promotion.binding_hash,
        mentions=[user.get_username() for user in mentioned(reason)],
    )
    record(
        trail_events.PROMOTION_REVIEWED,
        actor=actor,
        subject=promotion,
        old={"state": PromotionState.CHANGES_REQUESTED},
        new={"state": PromotionState.OPEN},
        reason=reason,
    )
    tell.review_needed(promotion, actor=actor, text=reason)
    return promotion
