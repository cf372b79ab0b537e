"""Cancel a job."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import transaction
from django.utils import timezone

from e2i_site.jobs import trail_events
from e2i_site.jobs.models import CLAIMABLE, Job, JobState
from e2i_site.jobs.policies import may_cancel
from e2i_site.trail.record import record

if TYPE_CHECKING:
    from django.contrib.auth.models import User


@transaction.atomic
def cancel(*, job: Job, actor: User) -> Job:
    """Ask a running job to stop, or end one that has not begun. Raises `Refused`."""
    job = Job.objects.select_for_update().get(pk=job.pk)
    may_cancel(actor, job).enforce()
    Job.objects.filter(pk=job.pk).update(cancel_requested=True)
    Job.objects.filter(pk=job.pk, state__in=CLAIMABLE).update(
        state=JobState.CANCELLED, finished_at=timezone.now(), message="Cancelled."
    )
    record(trail_events.CANCELLED, actor=actor, subject=job, old={"state": job.state})
    job.refresh_from_db()
    return job
