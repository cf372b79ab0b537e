"""Background work of the notifications."""

from __future__ import annotations

import uuid
from typing import Any

from django.utils import timezone

from e2i_site.jobs.handlers import Wait, handler
from e2i_site.jobs.runner import JobContext


@handler("notifications.deliver", lease=60)
def deliver(job: JobContext) -> dict[str, Any]:
    """Carry one message outside; waits without using up an attempt while something is left."""
    from e2i_site.notifications.delivery import deliver as carry

    done = carry(uuid.UUID(job.payload["message"]))
    if done.next_at is None:
        return {"sent": done.sent, "failed": done.failed}
    seconds = max(1.0, (done.next_at - timezone.now()).total_seconds())
    raise Wait(f"Still to be delivered: {done.waiting}.", seconds=seconds)


@handler("notifications.sweep")
def sweep(job: JobContext) -> dict[str, Any]:
    """Ask again for deliveries whose job is lost, and forget old messages."""
    from e2i_site.notifications.sweep import ask_again, forget

    return {"asked": ask_again(), "forgotten": forget()}
