"""Carrying a message's deliveries outside, each on its own, again and again until it ends."""

from __future__ import annotations

import logging
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils import timezone

from e2i_site.mlflow_connector.masking import mask_text
from e2i_site.notifications.models import Delivery, DeliveryState
from e2i_site.notifications.outgoing import NotDelivered
from e2i_site.notifications.senders import Undeliverable, send

logger = logging.getLogger(__name__)

MOST_ATTEMPTS = 8
FIRST_PAUSE = timedelta(seconds=30)
LONGEST_PAUSE = timedelta(hours=1)


@dataclass(frozen=True)
class Round:
    """What one round over a message did; `next_at` is None when nothing is left to do."""

    sent: int
    failed: int
    waiting: int
    next_at: datetime | None


def pause_after(attempts: int) -> timedelta:
    """How long to wait after the n-th attempt: 30 s, doubled each time, at most an hour."""
    return min(FIRST_PAUSE * int(2 ** min(max(attempts, 1) - 1, 20)), LONGEST_PAUSE)


def deliver(message_id: uuid.UUID, *, now: datetime | None = None) -> Round:
    """Try every delivery of the message that is due. One that fails does not stop the others."""
    now = now or timezone.now()
    counts = {DeliveryState.SENT: 0, DeliveryState.FAILED: 0}
    due = Delivery.objects.due(now).filter(message=message_id)
    for delivery in due.select_related("message", "user", "webhook").order_by("pk"):
        if _claim(delivery, now):
            state = _attempt(delivery)
            if state in counts:
                counts[state] += 1
    waiting = Delivery.objects.filter(message=message_id, state=DeliveryState.QUEUED)
    times = list(waiting.order_by("next_attempt_at").values_list("next_attempt_at", flat=True))
    return Round(
        counts[DeliveryState.SENT],
        counts[DeliveryState.FAILED],
        len(times),
        times[0] if times else None,
    )


def _claim(delivery: Delivery, now: datetime) -> bool:
    """Take the attempt, and put the next one off: whoever dies now leaves it to be tried again."""
    taken = Delivery.objects.filter(
        pk=delivery.pk, state=DeliveryState.QUEUED, attempts=delivery.attempts
    ).update(
        attempts=delivery.attempts + 1,
        next_attempt_at=now + pause_after(delivery.attempts + 1),
    )
    delivery.attempts += 1
    return bool(taken)


def _attempt(delivery: Delivery) -> DeliveryState:
    try:
        send(delivery)
    except Undeliverable as error:
        return _end(delivery, DeliveryState.FAILED, str(error))
    except NotDelivered as error:
        return _later(delivery, str(error))
    except Exception as error:
        logger.exception("Delivery %s failed", delivery.pk)
        return _later(delivery, f"{type(error).__name__}: {error}")
    return _end(delivery, DeliveryState.SENT, "")


def _later(delivery: Delivery, error: str) -> DeliveryState:
    if delivery.attempts >= MOST_ATTEMPTS:
        return _end(delivery, DeliveryState.FAILED, error)
    Delivery.objects.filter(pk=delivery.pk).update(last_error=_short(error))
    return DeliveryState.QUEUED


def _end(delivery: Delivery, state: DeliveryState, error: str) -> DeliveryState:
    Delivery.objects.filter(pk=delivery.pk).update(
        state=state,
        last_error=_short(error),
        sent_at=timezone.now() if state == DeliveryState.SENT else None,
    )
    return state


def _short(error: str) -> str:
    return mask_text(error)[:500]
