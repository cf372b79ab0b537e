"""Carry out a selection: run the pipeline and store what it finds while it finds it."""

from __future__ import annotations

import logging
import uuid
from typing import Any

from django.db import transaction
from django.utils import timezone

from e2i_site.jobs.handlers import Cancelled, Permanent
from e2i_site.jobs.runner import JobContext
from e2i_site.mlflow_connector import get_connector
from e2i_site.mlflow_connector.errors import NotFound
from e2i_site.trail.record import record
from training import datasets, trail_events
from training.actions import deliver
from training.actions.close_attempt import close_journal
from training.actions.record_candidates import store_candidates
from training.actions.record_nodes import NodeLog, Stopped, next_attempt
from training.actions.run_tags import tags_of
from training.choices import RunStatus
from training.history import past_runs
from training.models import Selection
from training.pipeline.selector.state import (
    Constraints,
    SelectionRequest,
    SelectionResult,
)
from training.pipeline.tracking import TrackedRun

logger = logging.getLogger(__name__)


def run_selection(*, selection_id: int, job: JobContext) -> dict[str, Any]:
    """Run a requested selection to its end. One that has ended is left as it is.

    Raises `Permanent` when it failed, and what the job said when it must stop.
    """
    selection = Selection.objects.select_related("experiment", "dataset").get(pk=selection_id)
    if selection.status == RunStatus.FINISHED:
        return summary(selection)
    attempt = _begin(selection)
    try:
        result = _select(selection, job, attempt)
    except Stopped as stop:
        if isinstance(stop.cause, Cancelled):
            _end(selection, RunStatus.KILLED, str(stop))
        raise stop.cause from None
    except (KeyboardInterrupt, SystemExit):
        _end(selection, RunStatus.KILLED, "Interrupted.")
        raise
    except Exception as error:
        logger.exception("Selection %s failed", selection.pk)
        message = f"{type(error).__name__}: {error}"
        _end(selection, RunStatus.FAILED, message)
        raise Permanent(message) from error
    if result.blocked_by:
        message = f"{result.blocked_by}: {' '.join(result.reasons)}"
        _end(selection, RunStatus.FAILED, message)
        raise Permanent(message)
    _end(selection, RunStatus.FINISHED)
    return summary(selection)


def summary(selection: Selection) -> dict[str, Any]:
    """What commands print."""
    return {
        "selection": selection.pk,
        "experiment": selection.experiment.experiment_id,
        "status": selection.status,
        "selected_algorithm": selection.selected_algorithm,
        "metric": selection.metric,
        "candidates": [
            {
                "algorithm": candidate.algorithm,
                "role": candidate.role,
                "outcome": candidate.outcome,
                "combined_score": candidate.combined_score,
                "benchmark_mean": candidate.benchmark_mean,
                "mlflow_run_id": candidate.mlflow_run_id,
            }
            for candidate in selection.candidates.all()
        ],
        "mlflow_run_id": selection.mlflow_run_id,
        "mlflow_available": selection.mlflow_available,
        "error": selection.error_message,
    }


def _begin(selection: Selection) -> int:
    attempt = next_attempt(selection)
    close_journal(selection.journal_id)
    with transaction.atomic():
        selection.candidates.all().delete()
        _reset(selection, attempt)
    return attempt


def _reset(selection: Selection, attempt: int) -> None:
    """Nothing of an earlier attempt stays that this one may not reach."""
    selection.status = RunStatus.RUNNING
    selection.started_at = timezone.now()
    selection.completed_at = None
    selection.error_message = ""
    selection.journal_id = f"selection-{selection.pk}-{attempt}-{uuid.uuid4().hex[:12]}"
    selection.mlflow_run_id = None
    selection.mlflow_available = False
    selection.selected_algorithm = selection.metric = ""
    selection.history, selection.rationale = {}, {}
    selection.save()


def _select(selection: Selection, job: JobContext, attempt: int) -> SelectionResult:
    from training.pipeline.selector.run import select

    data = datasets.load(selection.dataset)
    request = SelectionRequest(
        experiment_id=selection.experiment.experiment_id,
        constraints=_constraints(selection),
        history=past_runs(data.problem.value),
        top=selection.constraints["top"],
        folds=selection.constraints["folds"],
    )

    def on_start(run: TrackedRun) -> None:
        Selection.objects.filter(pk=selection.pk).update(mlflow_run_id=run.mlflow_run_id)
        selection.mlflow_run_id = run.mlflow_run_id

    def on_result(result: SelectionResult) -> None:
        store_result(selection, result)

    return select(
        data,
        request,
        NodeLog(job, selection, attempt),
        get_connector(),
        run_name=f"selection {selection.started_at:%Y-%m-%dT%H:%M:%SZ}",
        journal_id=selection.journal_id,
        tags={**tags_of(selection), "e2i.attempt": str(attempt)},
        on_start=on_start,
        on_result=on_result,
    )


@transaction.atomic
def store_result(selection: Selection, result: SelectionResult) -> None:
    """Store everything that is known so far."""
    selection.metric = result.metric
    if result.histories is not None:
        selection.history = dict(result.histories.facts())
    if result.choice is not None:
        selection.selected_algorithm = result.choice.primary
    if result.rationale is not None:
        selection.rationale = dict(result.rationale.facts())
    selection.save(update_fields=["metric", "history", "selected_algorithm", "rationale"])
    store_candidates(selection, result)


def _constraints(selection: Selection) -> Constraints:
    stored = {**selection.constraints}
    stored.pop("top"), stored.pop("folds")
    for name in ("exclude", "preferred"):
        stored[name] = tuple(stored[name])
    return Constraints(**stored)


def _end(selection: Selection, status: RunStatus, error: str = "") -> None:
    """Store the outcome, the ids MLflow has, and ask for the delivery of what it lacks."""
    connector = get_connector()
    event = (
        trail_events.SELECTION_FINISHED
        if status == RunStatus.FINISHED
        else trail_events.SELECTION_FAILED
    )
    try:
        known = connector.journal_result(selection.journal_id)
    except NotFound:
        known = None
    with transaction.atomic():
        selection.status = status
        selection.error_message = error
        selection.completed_at = timezone.now()
        selection.save()
        if known is not None:
            deliver.store_selection_ids(selection, known, connector)
            if not known.done:
                deliver.enqueue_delivery(selection)
        record(
            event,
            actor=None,
            subject=selection,
            new={
                "status": status,
                "selected_algorithm": selection.selected_algorithm,
                "mlflow_run_id": selection.mlflow_run_id,
                "error": error,
            },
        )
