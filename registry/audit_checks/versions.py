"""Does ml_model_registry say what MLflow says, down to the bytes?"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path

from django.db.models import QuerySet

from e2i_site.audit.choices import Priority
from e2i_site.audit.registry import CheckContext, Subject, SubjectOutcome, check
from e2i_site.core.errors import InvalidInput
from e2i_site.mlflow_connector import models
from e2i_site.mlflow_connector.errors import MLflowError, Unreachable
from e2i_site.mlflow_connector.types import ModelVersion
from registry.choices import ALIASED_STAGES, Stage
from registry.models import RegistryEntry
from training.audit_checks.rows import HIDDEN, hidden_runs
from training.choices import RunSource

# The mirror follows MLflow within this time.
SYNC_DELAY = timedelta(minutes=15)
_UNUSED = (Stage.ARCHIVED, Stage.DEPRECATED)


def _entries() -> QuerySet[RegistryEntry]:
    """Versions that MLflow should still have."""
    entries = RegistryEntry.objects.select_related("training_run", "model")
    return entries.filter(deleted_in_mlflow=False)


@check(
    "3.3",
    phase=3,
    title="ml_model_registry agrees with MLflow: version, source, and the stored bytes",
    remediation="Different bytes: treat the version as compromised. Roll it back if it serves, "
    "restore MLflow's artifact store from its backup, and find who wrote to it. Otherwise run "
    "manage.py sync_mlflow --full and see what changed.",
    priority=Priority.P1,
)
def entries_agree(context: CheckContext) -> Iterator[SubjectOutcome]:
    """Every entry is in MLflow and the other way round; staged versions are hashed anew."""
    entries = list(
        RegistryEntry.objects.select_related("model")
    )  # before MLflow, which has them first
    in_mlflow = context.mlflow.versions
    known = set()
    for entry in entries:
        key = (entry.model_id, entry.model_version)
        known.add(key)
        version = in_mlflow.get(key)
        if entry.deleted_in_mlflow:
            if entry.stage in ALIASED_STAGES:
                yield context.failed(entry, _gone(entry), priority=_urgency(entry))
        elif version is None and entry.model.hidden_since:
            yield context.inconclusive(entry, HIDDEN)
        elif version is None:
            yield context.failed(entry, _gone(entry), priority=_urgency(entry))
        elif version.source != entry.mlflow_model_uri:
            evidence = {"mlflow": version.source, "here": entry.mlflow_model_uri}
            yield context.failed(
                entry, "MLflow names another source.", evidence=evidence, priority=_urgency(entry)
            )
        elif entry.stage in ALIASED_STAGES:
            yield _digest_outcome(context, entry)
        else:
            yield context.passed(entry)
    yield from _unmirrored(context, in_mlflow, known)


def _gone(entry: RegistryEntry) -> str:
    return f"MLflow has no such version any more; here it is in {entry.stage}."


def _urgency(entry: RegistryEntry) -> Priority:
    return Priority.P0 if entry.stage in (Stage.PRODUCTION, Stage.SHADOW) else Priority.P1


def _digest_outcome(context: CheckContext, entry: RegistryEntry) -> SubjectOutcome:
    """Download the version's files and hash them; what was approved is bound to this digest."""
    if not entry.artifact_digest:
        return context.failed(entry, f"In {entry.stage}, but its digest was never computed.")
    try:
        found = stored_digest(context, f"models:/{entry.model_id}/{entry.model_version}")
    except Unreachable:
        raise
    except (MLflowError, InvalidInput) as error:
        return context.failed(
            entry, f"Its files cannot be read from MLflow: {error}", priority=_urgency(entry)
        )
    evidence = {"registered": entry.artifact_digest, "stored": found}
    if found == entry.artifact_digest:
        return context.passed(entry, "The stored files have the digest.", evidence=evidence)
    return context.failed(
        entry,
        "The files in MLflow's artifact store are not the ones that were registered.",
        evidence=evidence,
        priority=Priority.P0,
    )


def stored_digest(context: CheckContext, uri: str) -> str:
    """SHA-256 of the model files that MLflow has at `uri` now. Raises the connector's errors."""
    with tempfile.TemporaryDirectory(prefix="e2i-audit-") as folder:
        return models.digest(context.connector.download_artifacts(uri, Path(folder) / "model"))


def _unmirrored(
    context: CheckContext,
    in_mlflow: Mapping[tuple[str, int], ModelVersion],
    known: set[tuple[str, int]],
) -> Iterator[SubjectOutcome]:
    for key, version in in_mlflow.items():
        if key in known:
            continue
        subject = Subject("mlflow.version", f"{key[0]}/{key[1]}", f"{key[0]} v{key[1]}")
        if version.created_at and context.now - version.created_at < SYNC_DELAY:
            yield context.inconclusive(subject, "New in MLflow; the next sync will see it.")
        else:
            yield context.failed(subject, "MLflow has it, this registry does not.")


@check(
    "3.4",
    phase=3,
    title="Every version names its MLflow run, and the run is there",
    remediation="Restore the run in MLflow if it was deleted. If the link is wrong here, run "
    "manage.py sync_mlflow --full; a version without its run cannot be traced and should not be "
    "promoted.",
    priority=Priority.P1,
)
def runs_behind_versions(context: CheckContext) -> Iterator[SubjectOutcome]:
    """The run id is set, equals MLflow's and the training run's, and the run was not deleted."""
    entries = list(_entries())
    in_mlflow = context.mlflow.versions
    runs = context.mlflow.runs(each.mlflow_run_id for each in entries if each.mlflow_run_id)
    for entry in entries:
        version = in_mlflow.get((entry.model_id, entry.model_version))
        evidence = {
            "here": entry.mlflow_run_id,
            "mlflow": version.run_id if version else None,
            "training_run": entry.training_run.mlflow_run_id if entry.training_run else None,
        }
        run = runs.get(entry.mlflow_run_id)
        if not entry.mlflow_run_id:
            problem = "It names no MLflow run."
        elif version and version.run_id != entry.mlflow_run_id:
            problem = "MLflow names another run for it."
        elif run is None and hidden_runs([entry.mlflow_run_id]):
            yield context.inconclusive(entry, HIDDEN)
            continue
        elif run is None:
            problem = "MLflow does not know its run."
        elif run.is_deleted:
            problem = "Its run was deleted in MLflow."
        elif entry.training_run and entry.training_run.mlflow_run_id != entry.mlflow_run_id:
            problem = "It points to a training run that is another MLflow run."
        else:
            yield context.passed(entry, evidence=evidence)
            continue
        priority = Priority.P2 if entry.stage in _UNUSED else Priority.P1
        yield context.failed(entry, problem, evidence=evidence, priority=priority)


@check(
    "3.5",
    phase=3,
    title="No version uses MLflow's deprecated stages",
    remediation="Transition the version to the stage None in MLflow. Stages live here; MLflow "
    "shows them as aliases and as the tag e2i.stage.",
    priority=Priority.P3,
)
def no_deprecated_stage(context: CheckContext) -> Iterator[SubjectOutcome]:
    """`current_stage` is unset on every version that is mirrored here."""
    for entry in _entries():
        version = context.mlflow.versions.get((entry.model_id, entry.model_version))
        if version is None and entry.model.hidden_since:
            yield context.inconclusive(entry, HIDDEN)
        if version is None:
            continue  # 3.3 speaks of those
        if version.stage in ("", "None"):
            yield context.passed(entry)
        else:
            yield context.failed(
                entry,
                f"MLflow's old stage {version.stage} is set.",
                evidence={"current_stage": version.stage, "stage": entry.stage},
            )


@check(
    "4.1",
    phase=4,
    title="Registered versions carry their metadata",
    remediation="Run manage.py sync_mlflow --full. What is still missing was not logged with the "
    "model: train it again, or log a signature and register a new version.",
    priority=Priority.P2,
)
def metadata_is_there(context: CheckContext) -> Iterator[SubjectOutcome]:
    """What E2I trained has all of it; what others trained, a signature once it is promoted."""
    for entry in _entries():
        own = entry.training_run is not None and entry.training_run.source == RunSource.E2I
        if not own and entry.stage not in ALIASED_STAGES:
            continue
        facts = {
            "signature inputs": entry.signature.get("inputs"),
            "signature outputs": entry.signature.get("outputs"),
            "registration time": entry.registered_at,
        }
        if own:
            facts |= {
                "experiment": entry.experiment_id,
                "algorithm": entry.algorithm,
                "framework": entry.framework,
                "feature count": entry.feature_count,
                "training samples": entry.training_samples,
                "training time": entry.trained_at,
                "digest": entry.artifact_digest,
            }
        missing = [name for name, value in facts.items() if not value]
        if missing:
            message = f"Missing: {', '.join(missing)}."
            yield context.failed(entry, message, evidence={"missing": missing})
        else:
            yield context.passed(entry)
