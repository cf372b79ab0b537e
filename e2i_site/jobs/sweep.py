"""Repair: leases that ran out, messages that were lost, old rows."""

from __future__ import annotations

from datetime import timedelta

from django.db.models import F, Q
from django.utils import timezone

from e2i_site.jobs.handlers import kinds, look_up
from e2i_site.jobs.models import Job, JobState
from e2i_site.jobs.wakeup import wake

REWAKE_AFTER = timedelta(seconds=30)
BATCH = 100
KEEP = timedelta(days=30)
KEEP_PERIODIC = timedelta(days=1)


def sweep() -> None:
    """Free jobs whose worker died, and wake a worker for every job that is due.

    Jobs that only another release can do are named in the log and keep no other waiting.
    """
    reap()
    now = timezone.now()
    forgotten = Q(woken_at__isnull=True) | Q(woken_at__lt=now - REWAKE_AFTER)
    due = Job.objects.due(now).filter(forgotten)
    for kind in due.exclude(kind__in=kinds()).order_by().values_list("kind", flat=True).distinct():
        look_up(kind)
    for job in due.filter(kind__in=kinds()).order_by("run_after")[:BATCH]:
        wake(job)


def reap() -> int:
    """Put back jobs whose lease ran out, or fail them when their attempts are used up."""
    now = timezone.now()
    expired = Job.objects.filter(state=JobState.RUNNING, lease_expires_at__lt=now)
    cleared = {"lease_token": None, "lease_expires_at": None}
    cancelled = expired.filter(cancel_requested=True).update(
        state=JobState.CANCELLED, finished_at=now, message="Cancelled.", **cleared
    )
    failed = expired.filter(attempt__gte=F("max_attempts")).update(
        state=JobState.FAILED,
        finished_at=now,
        message="Its worker died each time it was tried.",
        **cleared,
    )
    freed = expired.update(
        state=JobState.QUEUED,
        run_after=now,
        woken_at=None,
        message="Its worker died; it is taken up again.",
        **cleared,
    )
    return cancelled + failed + freed


def wake_next(finished: Job) -> None:
    """Wake the job that waited for `finished`, if it was ordered."""
    if not finished.ordered:
        return
    waiting = Job.objects.due(timezone.now()).filter(subject=finished.subject, ordered=True)
    if (job := waiting.order_by("pk").first()) is not None:
        wake(job)


def prune() -> int:
    """Delete finished jobs that nobody will look at: periodic ones soon, others after a month."""
    now = timezone.now()
    finished = Job.objects.exclude(state__in=("queued", "running", "waiting"))
    old = Q(finished_at__lt=now - KEEP) | Q(
        key__startswith="every:", state=JobState.SUCCEEDED, finished_at__lt=now - KEEP_PERIODIC
    )
    return finished.filter(old).delete()[0]
