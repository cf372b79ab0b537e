"""Repair and tidying: deliveries whose job is gone, messages nobody will look at."""

from __future__ import annotations

from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from e2i_site.notifications.models import DeliveryState, Message
from e2i_site.notifications.notify import ask_for_delivery

LOST_AFTER = timedelta(minutes=5)
KEEP = timedelta(days=180)
BATCH = 200


def ask_again() -> int:
    """Enqueue the messages with a delivery long overdue; returns how many."""
    late = timezone.now() - LOST_AFTER
    overdue = Message.objects.filter(
        deliveries__state=DeliveryState.QUEUED, deliveries__next_attempt_at__lt=late
    )
    found = list(overdue.distinct()[:BATCH])
    with transaction.atomic():
        for message in found:
            ask_for_delivery(message)
    return len(found)


def forget() -> int:
    """Delete messages older than half a year with what hangs on them; the trail keeps the acts."""
    old = Message.objects.filter(at__lt=timezone.now() - KEEP)
    return old.exclude(deliveries__state=DeliveryState.QUEUED).delete()[0]
