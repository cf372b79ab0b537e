"""The audit as a background job: by button, and on the schedule."""

from __future__ import annotations

from typing import Any

from e2i_site.audit import runner
from e2i_site.audit.actions.start_audit import JOB_KIND
from e2i_site.audit.models import AuditRun
from e2i_site.jobs.handlers import Cancelled, handler
from e2i_site.jobs.runner import JobContext


@handler(JOB_KIND, lease=120)
def run_audit(job: JobContext) -> dict[str, Any]:
    """Run the audit that waits for this job; a scheduled job brings none and gets a full one,
    unless another job is at one."""
    run = AuditRun.objects.filter(job_id=job.id).first()
    if run is None and (other := AuditRun.objects.unfinished().full().held_by_a_job().first()):
        return {"left_to": other.pk}
    run = run or runner.prepare(job_id=job.id)
    try:
        runner.execute(run, job.progress)
    except Cancelled:
        runner.abandon(run)
        raise
    return {"audit_run": run.pk, **run.counts}
