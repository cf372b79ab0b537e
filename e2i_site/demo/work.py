"""Waiting for background work, and doing it here when no worker does."""

from __future__ import annotations

import time
from collections.abc import Collection

from django.db.models import Q

from e2i_site.core.errors import E2IError
from e2i_site.jobs import runner
from e2i_site.jobs.models import Job, JobState

POLL_SECONDS = 0.25


class StepFailed(E2IError):
    """A step of the demo did not succeed; the message says why and what to do."""


def finish(job: Job, *, timeout: float) -> Job:
    """Wait until `job` is done; raise `StepFailed` when it fails or takes over `timeout` seconds.

    Whoever claims it first runs it: a worker, or this process.
    """
    deadline = time.monotonic() + timeout
    while True:
        runner.run(job.pk)
        job.refresh_from_db()
        if job.state == JobState.SUCCEEDED:
            return job
        if job.is_finished:
            raise StepFailed(f"{job} {job.get_state_display().lower()}: {job.message}")
        if time.monotonic() > deadline:
            why = job.message or job.phase or job.get_state_display()
            raise StepFailed(f"{job} is not done after {timeout:.0f} s: {why}")
        time.sleep(POLL_SECONDS)


def settle(*, timeout: float, leave: Collection[str] = ()) -> None:
    """Finish all work that is not periodic, such as what is carried to MLflow.

    Kinds in `leave` go on by themselves: nobody waits for them now.
    """
    waiting = Job.objects.unfinished().filter(~Q(key__startswith="every:"), ~Q(kind__in=leave))
    for job in waiting.order_by("pk"):
        finish(job, timeout=timeout)
