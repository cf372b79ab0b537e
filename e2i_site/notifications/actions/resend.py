"""Try a failed delivery again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import transaction
from django.utils import timezone

from e2i_site.notifications import trail_events
from e2i_site.notifications.models import Delivery, DeliveryState
from e2i_site.notifications.notify import ask_for_delivery
from e2i_site.notifications.policies import may_resend
from e2i_site.trail.record import record

if TYPE_CHECKING:
    from django.contrib.auth.models import User


@transaction.atomic
def resend(*, delivery: Delivery, actor: User) -> Delivery:
    """Queue it again, with all its attempts before it. Raises Refused."""
    delivery = (
        Delivery.objects.select_for_update(of=("self",))
        .select_related("message")
        .get(pk=delivery.pk)
    )
    may_resend(actor, delivery).enforce()
    old = {"attempts": delivery.attempts, "error": delivery.last_error}
    delivery.state = DeliveryState.QUEUED
    delivery.attempts = 0
    delivery.next_attempt_at = timezone.now()
    delivery.save(update_fields=["state", "attempts", "next_attempt_at"])
    record(trail_events.RESENT, actor=actor, subject=delivery, old=old)
    ask_for_delivery(delivery.message)
    return delivery
