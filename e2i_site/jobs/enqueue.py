"""Asking for background work."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from e2i_site.jobs.handlers import find
from e2i_site.jobs.models import CLAIMABLE, Job
from e2i_site.jobs.wakeup import wake
from e2i_site.trail import context

if TYPE_CHECKING:
    from django.contrib.auth.models import User

TRIES = 3


def enqueue(
    kind: str,
    *,
    payload: Mapping[str, Any] | None = None,
    subject: str = "",
    actor: User | None = None,
    key: str = "",
    run_after: datetime | None = None,
) -> Job:
    """Add a job in the caller's transaction; a worker is woken when it commits.

    `key` makes it unique among unfinished jobs: the one that is there already is returned.
    `subject` ("model:churn") orders jobs whose handler is ordered. KeyError for an unknown kind.
    """
    handler = find(kind)
    job = Job(
        kind=kind,
        subject=subject,
        key=key,
        ordered=handler.ordered,
        payload=dict(payload or {}),
        max_attempts=handler.max_attempts,
        run_after=run_after or timezone.now(),
        actor=actor,
        request_id=context.current().request_id,
    )
    for tries_left in range(TRIES - 1, -1, -1):
        if key and (existing := Job.objects.unfinished().filter(key=key).first()):
            return existing
        try:
            with transaction.atomic():
                job.save(force_insert=True)
            break
        except IntegrityError:
            # Another was first, and may have ended before it could be looked up.
            if not (key and tries_left):
                raise
    transaction.on_commit(lambda: wake(job))
    return job


def hasten(job: Job) -> None:
    """Have a job that waits for a later moment run as soon as the caller's transaction commits."""
    now = timezone.now()
    if job.run_after <= now:
        return
    waiting = Job.objects.filter(pk=job.pk, state__in=CLAIMABLE, run_after__gt=now)
    if waiting.update(run_after=now, woken_at=None):
        transaction.on_commit(lambda: wake(job))
