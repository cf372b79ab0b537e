"""Claiming, running and finishing a job under a lease."""

from __future__ import annotations

import logging
import os
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from django.db import close_old_connections, connection
from django.utils import timezone

from e2i_site.jobs import apart
from e2i_site.jobs.handlers import (
    Cancelled,
    Handler,
    LeaseLost,
    Permanent,
    Wait,
    find,
    look_up,
)
from e2i_site.jobs.models import Job, JobState
from e2i_site.trail import context
from e2i_site.trail.models import Source

logger = logging.getLogger(__name__)

LOG_LIMIT = 20_000
RETRY_SECONDS = (5, 30, 120)
# How long a cancelled isolated job may take to stop by itself.
GRACE_SECONDS = 10


class JobContext:
    """What a handler gets: its payload, and ways to report and to stop."""

    def __init__(self, job: Job, token: uuid.UUID) -> None:
        self.id = job.pk
        self.kind = job.kind
        self.subject = job.subject
        self.payload: Mapping[str, Any] = job.payload
        self.attempt = job.attempt
        self.actor = job.actor
        self._token = token
        self._log = job.log
        self._stop = threading.Event()
        self._lost = threading.Event()

    def progress(self, phase: str, done: int = 0, total: int = 0) -> None:
        """Show where the work stands; `total` 0 means unknown. Raises when it must stop."""
        self._write(phase=phase[:120], done=done, total=total)
        self.raise_if_cancelled()

    def finished(self, steps: int) -> None:
        """Show that the work is done. Who cancels it now comes too late."""
        self._write(phase="Done", done=steps, total=steps)

    def log(self, line: str) -> None:
        """Add a line to the log that people see; the oldest lines go first."""
        stamp = timezone.now().strftime("%H:%M:%S")
        self._log = f"{self._log}{stamp} {line}\n"[-LOG_LIMIT:]
        self._write(log=self._log)

    def raise_if_cancelled(self) -> None:
        """Raise `Cancelled` or `LeaseLost` when this attempt must stop."""
        if self._lost.is_set():
            raise LeaseLost("Another worker took this job over.")
        if self._stop.is_set():
            raise Cancelled("Cancelled.")

    def renew(self, lease: float) -> None:
        """Extend the lease and look whether somebody asked to stop."""
        expires = timezone.now() + timedelta(seconds=lease)
        if not self._write(lease_expires_at=expires):
            return
        if Job.objects.filter(pk=self.id, cancel_requested=True).exists():
            self._stop.set()

    @property
    def stopping(self) -> bool:
        return self._stop.is_set() or self._lost.is_set()

    def _write(self, **fields: Any) -> bool:
        held = Job.objects.filter(pk=self.id, lease_token=self._token, state=JobState.RUNNING)
        if held.update(**fields) == 1:
            return True
        self._lost.set()
        return False


def claim(job_id: int) -> tuple[Job, uuid.UUID] | None:
    """Take the job if it is due, free and of a kind that is known here; None otherwise."""
    now = timezone.now()
    job = Job.objects.filter(pk=job_id).first()
    if job is None or job.is_finished or (handler := look_up(job.kind)) is None:
        return None
    token = uuid.uuid4()
    taken = (
        Job.objects.due(now)
        .filter(pk=job_id)
        .update(
            state=JobState.RUNNING,
            attempt=job.attempt + 1,
            lease_token=token,
            lease_expires_at=now + timedelta(seconds=handler.lease),
            started_at=job.started_at or now,
            message="",
        )
    )
    if not taken:
        return None
    job.refresh_from_db()
    return job, token


def run(job_id: int) -> None:
    """Claim and run a job, in this process or in a subprocess of its own."""
    claimed = claim(job_id)
    if claimed is None:
        return
    job, token = claimed
    if find(job.kind).isolated:
        _run_apart(job, token)
    else:
        execute(job, token)


def execute(job: Job, token: uuid.UUID, *, die_on_stop: bool = False) -> None:
    """Run a claimed job's handler here and store its outcome.

    `die_on_stop`: end the process when the handler does not stop in time; only for a subprocess.
    """
    handler = find(job.kind)
    ctx = JobContext(job, token)
    with _heartbeat(ctx, handler, die_on_stop), context.acting(Source.JOB, job.request_id):
        try:
            ctx.renew(handler.lease)
            ctx.raise_if_cancelled()
            result = handler.function(ctx)
        except Wait as wait:
            _put_back(job, token, str(wait), wait.seconds, JobState.WAITING, keep_attempt=True)
        except Cancelled as error:
            _finish(job, token, JobState.CANCELLED, message=str(error))
        except LeaseLost:
            logger.warning("%s: the lease was lost; its result is dropped.", job)
        except Exception as error:
            logger.exception("%s failed", job)
            _fail(job, token, error)
        else:
            _finish(job, token, JobState.SUCCEEDED, result=result)


def fail_attempt(job: Job, token: uuid.UUID, message: str) -> None:
    """An attempt ended without a result: try again later, or fail when attempts are used up."""
    if job.attempt >= job.max_attempts:
        _finish(job, token, JobState.FAILED, message=message)
        return
    delay = RETRY_SECONDS[min(job.attempt - 1, len(RETRY_SECONDS) - 1)]
    _put_back(job, token, message, delay, JobState.QUEUED)


def _fail(job: Job, token: uuid.UUID, error: Exception) -> None:
    message = f"{type(error).__name__}: {error}"
    if isinstance(error, Permanent):
        _finish(job, token, JobState.FAILED, message=str(error))
    else:
        fail_attempt(job, token, message)


def _finish(
    job: Job,
    token: uuid.UUID,
    state: JobState,
    *,
    result: dict[str, Any] | None = None,
    message: str = "",
) -> None:
    from e2i_site.jobs.sweep import wake_next

    _held(job, token).update(
        state=state,
        result=result or {},
        message=message,
        finished_at=timezone.now(),
        lease_token=None,
        lease_expires_at=None,
    )
    wake_next(job)


def _put_back(
    job: Job,
    token: uuid.UUID,
    message: str,
    seconds: float,
    state: JobState,
    *,
    keep_attempt: bool = False,
) -> None:
    _held(job, token).update(
        state=state,
        message=message,
        attempt=job.attempt - 1 if keep_attempt else job.attempt,
        run_after=timezone.now() + timedelta(seconds=seconds),
        woken_at=None,
        lease_token=None,
        lease_expires_at=None,
    )


def _held(job: Job, token: uuid.UUID) -> Any:
    return Job.objects.filter(pk=job.pk, lease_token=token, state=JobState.RUNNING)


@contextmanager
def _heartbeat(ctx: JobContext, handler: Handler, die_on_stop: bool) -> Iterator[None]:
    """Renew the lease from a thread of its own until the block ends."""
    over = threading.Event()

    def beat() -> None:
        stop_since: float | None = None
        pause = min(handler.lease / 4, 2.0)
        while not over.wait(pause):
            try:
                ctx.renew(handler.lease)
            except Exception:
                logger.exception("Job %s: the lease could not be renewed", ctx.id)
                connection.close()  # it may be broken; the next beat opens another
            if not (die_on_stop and ctx.stopping):
                continue
            stop_since = stop_since or time.monotonic()
            if time.monotonic() - stop_since > GRACE_SECONDS:
                os._exit(75)
        connection.close()

    thread = threading.Thread(target=beat, name=f"lease-{ctx.id}", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(timeout=5)


def _run_apart(job: Job, token: uuid.UUID) -> None:
    """Run the job in a process of its own, and say how that ended if not with an outcome."""
    close_old_connections()
    status = apart.run(job.pk, token)
    if status == 0:
        return
    job.refresh_from_db()
    if job.cancel_requested:
        _finish(job, token, JobState.CANCELLED, message="Cancelled.")
    else:
        fail_attempt(job, token, f"The process that ran it ended with status {status}.")
