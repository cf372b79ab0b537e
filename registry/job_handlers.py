"""Background work of the registry."""

from __future__ import annotations

from typing import Any

from e2i_site.jobs.handlers import Wait, handler
from e2i_site.jobs.runner import JobContext
from e2i_site.mlflow_connector import Rejected, Unreachable


@handler("registry.carry_stage", ordered=True)
def carry_stage(job: JobContext) -> dict[str, Any]:
    """Make MLflow agree with what the database says of one model."""
    from registry.carry import carry
    from registry.governed import publish

    publish()
    try:
        return carry(job.payload["model"])
    except Unreachable as error:
        raise Wait(f"Waits for MLflow: {error}", seconds=10) from error
    except Rejected as error:
        if not error.is_access:
            raise
        # Another password or permission mends it; what was decided must not be lost till then.
        raise Wait(f"Waits for MLflow to let E2I do it: {error}", seconds=60) from error


@handler("mlflow.apply_webhook")
def apply_webhook(job: JobContext) -> dict[str, Any]:
    """Read again the model that a webhook spoke of."""
    from registry.actions.apply_webhook import apply_webhook

    try:
        return apply_webhook(job.payload["model"])
    except Unreachable as error:
        raise Wait(f"Waits for MLflow: {error}", seconds=10) from error


@handler("registry.publish_governed")
def publish_governed(job: JobContext) -> dict[str, Any]:
    """Tell the guard in front of MLflow what is governed."""
    from registry.governed import publish

    return {"changed": publish()}


@handler("registry.fingerprint", lease=120)
def fingerprint(job: JobContext) -> dict[str, Any]:
    """Compute the digest of a version's files, then evaluate its open promotions again."""
    from registry.actions.fingerprint_version import fingerprint_version

    try:
        return fingerprint_version(entry_id=job.payload["entry"])
    except Unreachable as error:
        raise Wait(f"Waits for MLflow: {error}", seconds=10) from error


@handler("registry.measure_version", isolated=True, lease=60)
def measure_version(job: JobContext) -> dict[str, Any]:
    """Measure what a version's open promotions need, then evaluate their gates again."""
    from registry.actions.measure_version import measure_version
    from registry.actions.refresh_gates import refresh_gates
    from registry.choices import UNDECIDED
    from registry.models import Promotion

    entry = job.payload["entry"]
    try:
        found = measure_version(entry_id=entry, progress=job.progress)
    except Unreachable as error:
        raise Wait(f"Waits for MLflow: {error}", seconds=10) from error
    for promotion in Promotion.objects.filter(entry=entry, state__in=UNDECIDED):
        refresh_gates(promotion=promotion)
    return found


@handler("registry.sign_version", lease=120)
def sign_version(job: JobContext) -> dict[str, Any]:
    """Sign a version's verified files with E2I's key."""
    from registry.actions.sign_version import sign_version

    try:
        return sign_version(entry_id=job.payload["entry"])
    except Unreachable as error:
        raise Wait(f"Waits for MLflow: {error}", seconds=10) from error


@handler("registry.refresh_promotions")
def refresh_promotions(job: JobContext) -> dict[str, Any]:
    """Keep the evidence of undecided promotions fresh."""
    from registry.actions.refresh_gates import refresh_gates
    from registry.choices import UNDECIDED
    from registry.models import Promotion

    undecided = Promotion.objects.filter(state__in=UNDECIDED).order_by("gates_evaluated_at")
    for count, promotion in enumerate(undecided.iterator(), start=1):
        refresh_gates(promotion=promotion)
        job.progress("Evaluating gates", count)
    return {"promotions": undecided.count()}


@handler("registry.audit_break_glass")
def audit_break_glass(job: JobContext) -> dict[str, Any]:
    """Open or close the finding of a break-glass now."""
    from e2i_site.audit import runner
    from e2i_site.audit.models import AuditRun
    from registry.audit_checks.break_glass import CHECK_ID

    run = AuditRun.objects.filter(job_id=job.id).first() or runner.prepare(
        check_id=CHECK_ID, started_by=job.actor, job_id=job.id
    )
    runner.execute(run, job.progress)
    return {"audit_run": run.pk, **run.counts}


@handler("registry.deadlines")
def deadlines(job: JobContext) -> dict[str, Any]:
    """Remind of undecided promotions and end those that are too old."""
    from registry.actions.deadlines import expire_promotion, remind
    from registry.choices import UNDECIDED
    from registry.models import Promotion

    expired = reminded = 0
    undecided = Promotion.objects.filter(state__in=UNDECIDED).select_related("entry").order_by("pk")
    for count, promotion in enumerate(undecided.iterator(), start=1):
        if expire_promotion(promotion=promotion):
            expired += 1
        else:
            reminded += remind(promotion=promotion)
        job.progress("Looking at deadlines", count)
    return {"expired": expired, "reminded": reminded}


@handler("mlflow.sync", lease=120)
def sync_mlflow(job: JobContext) -> dict[str, Any]:
    """Mirror MLflow; payload {"full": true} reads every run again."""
    from registry.sync import SyncBusy, sync

    try:
        return sync(full=bool(job.payload.get("full")), progress=job.progress).as_dict()
    except SyncBusy as error:
        raise Wait(str(error), seconds=2) from error
    except Unreachable as error:
        raise Wait(f"Waits for MLflow: {error}", seconds=10) from error
