"""Carry journals to MLflow and store what MLflow made of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from e2i_site.jobs.enqueue import enqueue
from e2i_site.mlflow_connector import MLflowConnector, get_connector
from e2i_site.mlflow_connector.journal import ReplayResult
from e2i_site.mlflow_connector.naming import experiment_name
from e2i_site.trail.record import record
from training import trail_events
from training.changes import SELECTION_TAG
from training.choices import RunStatus
from training.hooks import RegisteredVersion, version_registered
from training.models import Experiment, MlflowExperiment, Selection, TrainingRun

CHECKPOINTS = "checkpoints"


def checkpoint_folder() -> Path:
    """Where trained models are kept, each in a folder named by its digest."""
    return Path(settings.DATA_DIR) / CHECKPOINTS


def replay(connector: MLflowConnector, journal_id: str) -> ReplayResult:
    """Deliver a journal and those of its nested runs. Raises `Unreachable` or `Conflict`."""
    for pending in connector.pending_journals():
        if pending.ended and pending.journal_id.startswith(f"{journal_id}."):
            connector.replay(pending.journal_id)
    return connector.replay(journal_id)


def nested_run_id(connector: MLflowConnector, journal_id: str, name: str) -> str | None:
    """MLflow's id of a nested run; None while MLflow does not have it."""
    nested = f"{journal_id}.{name}"
    return connector.journal_result(nested).run_id if connector.has_journal(nested) else None


def deliver_journal(journal_id: str) -> dict[str, Any]:
    """Deliver the journal of an attempt that no row speaks of any more."""
    result = replay(get_connector(), journal_id)
    return {"journal": journal_id, "mlflow_run_id": result.run_id, "status": result.status}


def deliver_selection(selection_id: int) -> dict[str, Any]:
    """Write a selection to MLflow and store the ids it got."""
    connector = get_connector()
    selection = Selection.objects.get(pk=selection_id)
    result = replay(connector, selection.journal_id)
    store_selection_ids(selection, result, connector, late=True)
    return {"selection": selection.pk, "mlflow_run_id": result.run_id, "done": result.done}


def deliver_training(run_id: int) -> dict[str, Any]:
    """Write a training run to MLflow, store the ids it got, and announce its model."""
    connector = get_connector()
    run = TrainingRun.objects.select_related("selection").get(pk=run_id)
    if run.selection is not None and not run.selection.mlflow_available:
        deliver_selection(run.selection.pk)
        run.refresh_from_db()
    result = replay(connector, run.journal_id)
    _tag_selection(connector, run, result)
    store_training_ids(run, result, connector, late=True)
    return {
        "training_run": run.pk,
        "mlflow_run_id": result.run_id,
        "model_version": result.model_version,
        "done": result.done,
    }


def enqueue_delivery(owner: TrainingRun | Selection) -> None:
    """Ask for the rest to be delivered; in the caller's transaction."""
    kind = "training_run" if isinstance(owner, TrainingRun) else "selection"
    enqueue(
        "training.deliver",
        payload={kind: owner.pk},
        subject=f"experiment:{owner.experiment.experiment_id}" if owner.experiment else "",
        key=f"deliver:{kind}:{owner.pk}",
    )


@transaction.atomic
def store_selection_ids(
    selection: Selection, result: ReplayResult, connector: MLflowConnector, *, late: bool = False
) -> None:
    """Fill in what MLflow has of a selection and its candidates.

    `late`: it arrived after the selection had ended, which leaves a trail entry of its own.
    """
    before = selection.mlflow_available
    selection.mlflow_run_id = result.run_id
    selection.mlflow_experiment_id = result.experiment_id or ""
    selection.mlflow_available = _is_whole(result)
    selection.save(update_fields=["mlflow_run_id", "mlflow_experiment_id", "mlflow_available"])
    if result.experiment_id:
        mirror_experiment(result.experiment_id, "model_selection", selection.experiment)
    for candidate in selection.candidates.filter(mlflow_run_id=None):
        found = nested_run_id(connector, selection.journal_id, candidate.algorithm)
        if found:
            candidate.mlflow_run_id = found
            candidate.save(update_fields=["mlflow_run_id"])
    if late and selection.mlflow_available and not before:
        _record_delivery(trail_events.SELECTION_DELIVERED, selection)


@transaction.atomic
def store_training_ids(
    run: TrainingRun, result: ReplayResult, connector: MLflowConnector, *, late: bool = False
) -> None:
    """Fill in what MLflow has of a training run, its trials and its model; `late` as above."""
    before = run.mlflow_available
    claim_mlflow_run(run, result)
    run.mlflow_available = _is_whole(result)
    if result.run_id and run.model_digest:
        run.model_artifact_uri = result.model_uri or ""
        run.preprocessing_artifact_uri = f"runs:/{result.run_id}/preprocessing"
    if result.problems and (run.status == RunStatus.FINISHED or not run.error_message):
        # Why a run failed matters more than what MLflow then refused of it.
        run.error_message = f"MLflow refused: {'; '.join(result.problems)}"
    run.save(
        update_fields=[
            "mlflow_run_id",
            "mlflow_experiment",
            "mlflow_available",
            "model_artifact_uri",
            "preprocessing_artifact_uri",
            "error_message",
        ]
    )
    for trial in run.trials.filter(mlflow_run_id=None):
        found = nested_run_id(connector, run.journal_id, f"trial-{trial.number}")
        if found:
            trial.mlflow_run_id = found
            trial.save(update_fields=["mlflow_run_id"])
    if late and run.mlflow_available and not before:
        _record_delivery(trail_events.TRAINING_DELIVERED, run)
    _announce(run, result)


def claim_mlflow_run(run: TrainingRun, result: ReplayResult) -> None:
    """Give the row its MLflow ids; a row that the mirror made of the same run gives way."""
    if result.run_id is None or result.experiment_id is None:
        return
    for double in TrainingRun.objects.filter(mlflow_run_id=result.run_id).exclude(pk=run.pk):
        double.children.update(parent=run)
        double.entries.update(training_run=run)
        double.delete()
    agent = "model_trainer"
    run.mlflow_experiment = mirror_experiment(result.experiment_id, agent, run.experiment)
    run.mlflow_run_id = result.run_id


def mirror_experiment(
    mlflow_id: str, agent: str, experiment: Experiment | None
) -> MlflowExperiment:
    """The row of an MLflow experiment that E2I made; the mirror fills in the rest."""
    name = experiment_name(agent, experiment.experiment_id) if experiment else mlflow_id
    row, _ = MlflowExperiment.objects.get_or_create(
        mlflow_id=mlflow_id,
        defaults={
            "name": name,
            "experiment": experiment,
            "agent_type": agent,
            "created_at": timezone.now(),
        },
    )
    return row


def signature_of(digest: str) -> Mapping[str, Any]:
    """Inputs and outputs from the MLmodel file of a kept model; empty when it has none."""
    import json

    path = checkpoint_folder() / digest / "MLmodel"
    found = yaml.safe_load(path.read_text(encoding="utf-8")).get("signature") or {}
    return {
        part: json.loads(found[part]) for part in ("inputs", "outputs", "params") if found.get(part)
    }


def _announce(run: TrainingRun, result: ReplayResult) -> None:
    """Tell the registry of the version that MLflow gave to the finished model."""
    if run.status != RunStatus.FINISHED or not result.model_version or not result.model_name:
        return
    version_registered(
        RegisteredVersion(
            training_run=run,
            model_name=result.model_name,
            model_version=int(result.model_version),
            model_uri=result.model_uri or "",
            digest=run.model_digest,
            signature=signature_of(run.model_digest),
        )
    )


def _is_whole(result: ReplayResult) -> bool:
    return result.done and result.run_id is not None and not result.problems


def _record_delivery(event: str, subject: TrainingRun | Selection) -> None:
    record(event, actor=None, subject=subject, new={"mlflow_run_id": subject.mlflow_run_id})


def _tag_selection(connector: MLflowConnector, run: TrainingRun, result: ReplayResult) -> None:
    """The selection's run id was not known when the training began without MLflow."""
    if run.selection is None or not run.selection.mlflow_run_id or not result.run_id:
        return
    if run.tags.get(SELECTION_TAG) != run.selection.mlflow_run_id:
        connector.set_run_tag(result.run_id, SELECTION_TAG, run.selection.mlflow_run_id)
