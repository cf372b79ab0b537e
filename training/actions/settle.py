"""Bring rows to a true end whose job ended without them, and find journals nobody delivers."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from e2i_site.jobs.enqueue import enqueue
from e2i_site.jobs.handlers import Wait
from e2i_site.jobs.models import Job, JobState
from e2i_site.mlflow_connector import get_connector
from e2i_site.trail.record import record
from training import trail_events
from training.actions.close_attempt import close_journal
from training.choices import UNFINISHED_RUN, NodeOutcome, RunSource, RunStatus
from training.models import Selection, TrainingRun

ENDED_WITHOUT_RESULT = (JobState.FAILED, JobState.CANCELLED)
# Journals that training writes; see run_selection and run_training.
PREFIXES = ("training-", "selection-")


def settle() -> dict[str, Any]:
    """End rows whose job failed or was cancelled; ask for the delivery of forgotten journals."""
    ended = Q(status__in=UNFINISHED_RUN, job__state__in=ENDED_WITHOUT_RESULT)
    owners: list[TrainingRun | Selection] = [
        *TrainingRun.objects.filter(ended, source=RunSource.E2I).select_related("job"),
        *Selection.objects.filter(ended).select_related("job"),
    ]
    settled = sum(map(_settle, owners))
    return {"settled": settled, "deliveries": _deliver_forgotten()}


def _settle(owner: TrainingRun | Selection) -> bool:
    try:
        close_journal(owner.journal_id)
    except Wait:
        return False
    job = owner.job
    cancelled = job is not None and job.state == JobState.CANCELLED
    # A journal of a dead process ends KILLED; the row says the same.
    status = RunStatus.KILLED if cancelled or owner.journal_id else RunStatus.FAILED
    message = job.message if job is not None else ""
    with transaction.atomic():
        changed = (
            type(owner)
            ._default_manager.filter(pk=owner.pk, status__in=UNFINISHED_RUN)
            .update(status=status, error_message=message, completed_at=timezone.now())
        )
        if not changed:
            return False
        owner.nodes.filter(outcome=NodeOutcome.RUNNING).update(
            outcome=NodeOutcome.INTERRUPTED, ended_at=timezone.now()
        )
        record(
            _event(owner, status),
            actor=None,
            subject=owner,
            new={"status": status, "error": message},
        )
    return True


def _event(owner: TrainingRun | Selection, status: RunStatus) -> str:
    if isinstance(owner, Selection):
        return trail_events.SELECTION_FAILED
    killed = status == RunStatus.KILLED
    return trail_events.TRAINING_KILLED if killed else trail_events.TRAINING_FAILED


def _deliver_forgotten() -> int:
    """Journals that have ended and wait, without a job that delivers them."""
    journals = [
        pending.journal_id
        for pending in get_connector().pending_journals()
        if pending.ended
        and not pending.writing
        and pending.journal_id.startswith(PREFIXES)
        and "." not in pending.journal_id
    ]
    if not journals:
        return 0
    rows = {
        run.journal_id: {"training_run": run.pk}
        for run in TrainingRun.objects.filter(journal_id__in=journals)
    }
    rows |= {
        selection.journal_id: {"selection": selection.pk}
        for selection in Selection.objects.filter(journal_id__in=journals)
    }
    asked = 0
    for journal in journals:
        payload: dict[str, Any] = rows.get(journal, {"journal": journal})
        ((kind, value),) = payload.items()
        key = f"deliver:{kind}:{value}"
        if Job.objects.unfinished().filter(key=key).exists():
            continue
        with transaction.atomic():
            enqueue("training.deliver", payload=payload, key=key)
        asked += 1
    return asked
