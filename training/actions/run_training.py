"""Carry out a training: run the pipeline and store what it finds while it finds it."""

from __future__ import annotations

import logging
import uuid
from typing import Any

from django.db import transaction
from django.utils import timezone

from e2i_site.jobs.handlers import Cancelled, Permanent
from e2i_site.jobs.runner import JobContext
from e2i_site.mlflow_connector import get_connector, model_name
from e2i_site.mlflow_connector.errors import NotFound
from e2i_site.trail.record import record
from training import datasets, trail_events
from training.actions import deliver
from training.actions.close_attempt import close_journal, finish_journal
from training.actions.record_nodes import NodeLog, Stopped, next_attempt
from training.actions.record_training import TrainingRecord, forget_attempt
from training.actions.run_tags import tags_of
from training.choices import NodeOutcome, RunStatus
from training.models import SplitDefinition, TrainingRun
from training.pipeline.data import Dataset
from training.pipeline.tracking import TrackedRun
from training.pipeline.trainer.state import TrainingRequest, TrainingResult
from training.pipeline.types import Balancing
from training.study_storage import storage_url

logger = logging.getLogger(__name__)

_EVENTS = {
    RunStatus.FINISHED: trail_events.TRAINING_FINISHED,
    RunStatus.FAILED: trail_events.TRAINING_FAILED,
    RunStatus.KILLED: trail_events.TRAINING_KILLED,
}


def run_training(*, run_id: int, job: JobContext) -> dict[str, Any]:
    """Run a requested training to its end. One that has finished is left as it is.

    Raises `Permanent` when it failed, and what the job said when it must stop.
    """
    run = TrainingRun.objects.select_related("experiment", "dataset", "selection").get(pk=run_id)
    if run.status == RunStatus.FINISHED:
        return summary(run)
    if _was_done(run):
        _end(run, RunStatus.FINISHED)
        return summary(run)
    _begin(run)
    try:
        result = _train(run, job)
    except Stopped as stop:
        if isinstance(stop.cause, Cancelled):
            _end(run, RunStatus.KILLED, str(stop))
        raise stop.cause from None
    except (KeyboardInterrupt, SystemExit):
        _end(run, RunStatus.KILLED, "Interrupted.")
        raise
    except Exception as error:
        logger.exception("Training run %s failed", run.pk)
        message = f"{type(error).__name__}: {error}"
        _end(run, RunStatus.FAILED, message)
        raise Permanent(message) from error
    if result.blocked_by:
        message = f"{result.blocked_by}: {' '.join(_reasons(result))}"
        _end(run, RunStatus.FAILED, message)
        raise Permanent(message)
    _end(run, RunStatus.FINISHED)
    return summary(run)


def summary(run: TrainingRun) -> dict[str, Any]:
    """What commands print."""
    return {
        "training_run": run.pk,
        "experiment": run.experiment.experiment_id if run.experiment else None,
        "algorithm": run.algorithm,
        "status": run.status,
        "mlflow_run_id": run.mlflow_run_id,
        "mlflow_available": run.mlflow_available,
        "model_artifact_uri": run.model_artifact_uri,
        "model_digest": run.model_digest,
        "registry_entry": run.registry_entry_id,
        "metrics": {
            "train": run.train_metrics,
            "validation": run.validation_metrics,
            "test": run.test_metrics,
        },
        "threshold": run.threshold,
        "optuna_study_name": run.optuna_study_name,
        "optuna_trial_number": run.optuna_trial_number,
        "error": run.error_message,
    }


def _was_done(run: TrainingRun) -> bool:
    """Whether an attempt died with only its end left to store: MLflow may have its version."""
    if run.status != RunStatus.RUNNING or not run.model_digest:
        return False
    done = run.nodes.filter(attempt=run.attempt, outcome=NodeOutcome.SUCCEEDED)
    last = {"log_to_mlflow", "save_checkpoint"}
    return last <= set(done.values_list("name", flat=True)) and finish_journal(run.journal_id)


def _begin(run: TrainingRun) -> None:
    attempt = next_attempt(run)
    close_journal(run.journal_id)
    with transaction.atomic():
        forget_attempt(run)
        run.status = RunStatus.RUNNING
        run.attempt = attempt
        run.compute_type = "cpu"
        run.run_name = f"{run.algorithm}_{run.started_at:%Y%m%dT%H%M%SZ}"
        run.journal_id = f"training-{run.pk}-{attempt}-{uuid.uuid4().hex[:12]}"
        run.save()


def _train(run: TrainingRun, job: JobContext) -> TrainingResult:
    from training.pipeline.trainer.run import train

    if run.dataset is None or run.experiment is None:
        raise RuntimeError("The run has no experiment or no data set.")
    data = datasets.load(run.dataset)
    request = _request(run, data)
    stored = TrainingRecord(run, data, request)
    connector = get_connector()

    def on_start(tracked: TrackedRun) -> None:
        """The row knows its MLflow run before the mirror can see that run."""
        with transaction.atomic():
            deliver.claim_mlflow_run(run, connector.journal_result(tracked.journal_id))
            run.save(update_fields=["mlflow_run_id", "mlflow_experiment"])

    return train(
        data,
        request,
        NodeLog(job, run, run.attempt),
        connector,
        deliver.checkpoint_folder(),
        run_name=run.run_name,
        journal_id=run.journal_id,
        on_start=on_start,
        on_result=stored.store,
        on_trial=stored.store_trial,
    )


def _request(run: TrainingRun, data: Dataset) -> TrainingRequest:
    assert run.experiment is not None
    asked = run.request
    experiment_id = run.experiment.experiment_id
    return TrainingRequest(
        experiment_id=experiment_id,
        algorithm=run.algorithm,
        storage_url=storage_url(),
        run_key=f"training-{run.pk}",
        trials=asked["trials"],
        timeout_seconds=asked["timeout_seconds"],
        folds=asked["folds"],
        balancing=Balancing(asked["balancing"]) if asked["balancing"] else None,
        seed=asked["seed"],
        registered_model=model_name(experiment_id, run.algorithm),
        split_digests=_earlier_split(run, asked["seed"]),
        tags={**tags_of(run), "e2i.attempt": str(run.attempt)},
    )


def _earlier_split(run: TrainingRun, seed: int) -> dict[str, str] | None:
    """Digests of the split that the latest other finished run on this data set used."""
    earlier = (
        SplitDefinition.objects.filter(
            training_run__dataset=run.dataset_id,
            training_run__status=RunStatus.FINISHED,
            seed=seed,
        )
        .exclude(training_run=run)
        .order_by("-id")
        .first()
    )
    return dict(earlier.digests) if earlier else None


def _reasons(result: TrainingResult) -> tuple[str, ...]:
    for gate in (result.split_check, result.quality):
        if gate is not None and gate.blocking:
            return gate.blocking
    return ()


def _end(run: TrainingRun, status: RunStatus, error: str = "") -> None:
    """Store the outcome, the ids MLflow has, and ask for the delivery of what it lacks."""
    connector = get_connector()
    try:
        known = connector.journal_result(run.journal_id)
    except NotFound:
        known = None
    with transaction.atomic():
        run.status = status
        run.error_message = error
        run.completed_at = timezone.now()
        if run.started_at is not None:
            run.duration_seconds = (run.completed_at - run.started_at).total_seconds()
        run.save(update_fields=["status", "error_message", "completed_at", "duration_seconds"])
        if known is not None:
            deliver.store_training_ids(run, known, connector)
            if not known.done:
                deliver.enqueue_delivery(run)
        run.refresh_from_db()
        record(
            _EVENTS[status],
            actor=None,
            subject=run,
            new={
                "status": status,
                "mlflow_run_id": run.mlflow_run_id,
                "mlflow_available": run.mlflow_available,
                "model_digest": run.model_digest,
                "error": error,
            },
        )
