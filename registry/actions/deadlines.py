"""What time does to an undecided promotion: reminders, and the end."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

from e2i_site.core.formats import duration
from e2i_site.trail.record import record
from registry import trail_events
from registry.actions import tell
from registry.choices import UNDECIDED, PromotionState
from registry.locks import lock_model
from registry.models import Promotion


def expires_at(promotion: Promotion) -> datetime | None:
    """When the request ends undecided; None where its policy sets no limit."""
    days = _rules(promotion).get("expires_after_days")
    return promotion.created_at + timedelta(days=float(days)) if days else None


@transaction.atomic
def expire_promotion(*, promotion: Promotion, now: datetime | None = None) -> bool:
    """End an undecided request that is older than its policy allows; whether it did."""
    promotion = _locked(promotion)
    end = expires_at(promotion)
    now = now or timezone.now()
    if promotion.state not in UNDECIDED or end is None or now < end:
        return False
    days = _rules(promotion)["expires_after_days"]
    promotion.state = PromotionState.EXPIRED
    promotion.state_reason = (
        f"Nobody decided within the {days:g} days that policy {promotion.policy} allows; "
        "it can be requested again."
    )
    promotion.decided_at = now
    promotion.save(update_fields=["state", "state_reason", "decided_at"])
    record(
        trail_events.PROMOTION_EXPIRED,
        actor=None,
        subject=promotion,
        reason=promotion.state_reason,
    )
    tell.expired(promotion)
    return True


@transaction.atomic
def remind(*, promotion: Promotion, now: datetime | None = None) -> bool:
    """Remind once in each period of the policy's `remind_after_hours`; whether it did.

    Periods that passed unnoticed, such as while E2I was off, are one reminder together.
    """
    promotion = _locked(promotion)
    hours = _rules(promotion).get("remind_after_hours")
    if promotion.state not in UNDECIDED or not hours:
        return False
    waited = (now or timezone.now()) - promotion.created_at
    period = int(waited / timedelta(hours=float(hours)))
    if period <= promotion.reminders:
        return False
    promotion.reminders = period
    promotion.save(update_fields=["reminders"])
    words = duration(waited.total_seconds())
    record(
        trail_events.REMINDER_SENT,
        actor=None,
        subject=promotion,
        new={"period": period},
        reason=f"It has waited {words}; the policy reminds every {float(hours):g} h.",
    )
    tell.reminder(promotion, period, words)
    return True


def _locked(promotion: Promotion) -> Promotion:
    lock_model(promotion.entry.model_id)
    return (
        Promotion.objects.select_for_update(of=("self",))
        .select_related("entry", "policy", "requester")
        .get(pk=promotion.pk)
    )


def _rules(promotion: Promotion) -> dict[str, float]:
    return promotion.policy.for_stage(promotion.to_stage) or {}
