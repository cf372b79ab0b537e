"""Turn a version that MLflow has given into a registry entry."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone

from e2i_site.trail.record import record
from registry import trail_events
from registry.actions.sign_version import ask_for_signature
from registry.choices import Stage, StageCause
from registry.models import RegisteredModel, RegistryEntry, StageChange
from training.hooks import RegisteredVersion
from training.models import Candidate, TrainingRun


@transaction.atomic
def register_version(version: RegisteredVersion) -> RegistryEntry:
    """Store the version with its lineage, in stage development. Doing it twice changes nothing.

    A row that the mirror made first is completed: what E2I knows of its own run is more.
    """
    run = version.training_run
    model, _ = RegisteredModel.objects.get_or_create(
        name=version.model_name, defaults={"experiment": run.experiment}
    )
    known = {"model": model, "model_version": version.model_version}
    entry, _ = RegistryEntry.objects.get_or_create(
        **known, defaults={"registered_at": timezone.now()}
    )
    if entry.artifact_digest and entry.training_run_id == run.pk:
        return entry
    _complete(entry, version)
    if not entry.stage_changes.exists():
        StageChange.objects.create(
            entry=entry,
            to_stage=Stage.DEVELOPMENT,
            cause=StageCause.REGISTERED,
            actor=run.created_by,
            at=timezone.now(),
        )
    TrainingRun.objects.filter(pk=run.pk).update(registry_entry=entry)
    record(
        trail_events.VERSION_REGISTERED,
        actor=run.created_by,
        subject=entry,
        new={
            "digest": entry.artifact_digest,
            "mlflow_run_id": entry.mlflow_run_id,
            "source": entry.mlflow_model_uri,
        },
    )
    ask_for_signature(entry)
    return entry


def _complete(entry: RegistryEntry, version: RegisteredVersion) -> None:
    run, metrics = version.training_run, version.training_run.test_metrics
    entry.experiment = run.experiment
    entry.training_run = run
    entry.mlflow_run_id = run.mlflow_run_id or ""
    entry.mlflow_model_uri = version.model_uri
    entry.artifact_digest = version.digest
    entry.algorithm = run.algorithm
    entry.framework = run.framework
    entry.hyperparameters = run.hyperparameters
    entry.feature_count = len(run.feature_names)
    entry.training_samples = run.training_samples
    entry.auc = metrics.get("roc_auc")
    entry.pr_auc = metrics.get("pr_auc")
    entry.brier_score = metrics.get("brier")
    entry.calibration_slope = metrics.get("calibration_slope")
    entry.signature = dict(version.signature)
    entry.preprocessing_pipeline_path = run.preprocessing_artifact_uri
    entry.trained_by = run.created_by
    entry.registered_by = run.created_by
    entry.trained_at = run.completed_at
    if run.selection is not None:
        chosen = Candidate.objects.filter(
            selection=run.selection, algorithm=run.algorithm, role="candidate"
        ).first()
        entry.selection_score = chosen.combined_score if chosen else None
        entry.selection_rationale = run.selection.rationale
    entry.save()
