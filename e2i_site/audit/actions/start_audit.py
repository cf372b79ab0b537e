"""Start an audit in the background."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import transaction
from django.utils import timezone

from e2i_site.audit import runner, trail_events
from e2i_site.audit.models import AuditRun
from e2i_site.audit.policies import may_start
from e2i_site.core.errors import Conflict
from e2i_site.jobs.enqueue import enqueue
from e2i_site.trail.record import record

if TYPE_CHECKING:
    from django.contrib.auth.models import User

JOB_KIND = "audit.run"


@transaction.atomic
def start_audit(*, actor: User, phase: int | None = None, check_id: str | None = None) -> AuditRun:
    """Enqueue an audit of everything, of a phase or of a check.

    Raises `Refused` without the role or while another audit goes on, `InvalidInput` when the
    phase or check does not exist, `Conflict` when somebody else was a moment faster.
    """
    AuditRun.objects.abandon_silent(timezone.now())
    may_start(actor, AuditRun.objects.unfinished().first()).enforce()
    job = enqueue(JOB_KIND, actor=actor, key=JOB_KIND)
    if AuditRun.objects.filter(job=job).exists():
        raise Conflict("Another audit is just starting or ending. Look again in a moment.")
    run = runner.prepare(phase=phase, check_id=check_id, started_by=actor, job_id=job.pk)
    record(trail_events.RUN_STARTED, actor=actor, subject=run, new={"scope": run.scope})
    return run
