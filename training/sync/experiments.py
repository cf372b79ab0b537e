"""Mirror MLflow's experiments."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils import timezone

from e2i_site.mlflow_connector import Presence, get_connector, naming, types
from training.changes import note_experiment
from training.models import Experiment, MlflowExperiment
from training.sync.counts import Counts
from training.sync.hidden import to_ask

BATCH = 500


def mirror_experiments(found: Iterable[types.Experiment], counts: Counts) -> None:
    """Mirror the experiments that MLflow lists. Asks nobody, so a transaction can hold it."""
    rows = {row.mlflow_id: row for row in MlflowExperiment.objects.all()}
    owners = dict(Experiment.objects.values_list("experiment_id", "pk"))
    new = []
    for each in found:
        counts.seen += 1
        values = _experiment_values(each, owners)
        if row := rows.get(each.experiment_id):
            _save_changes(row, values, counts, changed_at=each.updated_at)
        else:
            new.append(MlflowExperiment(mlflow_id=each.experiment_id, **values))
    # E2I itself can have made one of them meanwhile.
    MlflowExperiment.objects.bulk_create(new, batch_size=BATCH, ignore_conflicts=True)
    counts.created += len(new)


def ask_missing(found: Iterable[types.Experiment], known: set[str]) -> dict[str, Presence]:
    """What MLflow says of experiments that it does not list.

    Args:
        known: ids of rows that were there before MLflow was asked for its list.

    Raises:
        Unreachable: MLflow does not say.
    """
    missing = known - {each.experiment_id for each in found}
    rows = MlflowExperiment.objects.filter(deleted=False, mlflow_id__in=missing)
    by_id = {row.mlflow_id: row for row in rows}
    connector = get_connector()
    return {each: connector.presence("experiment", each) for each in to_ask(by_id, by_id)}


def mirror_missing(presences: Mapping[str, Presence], counts: Counts) -> None:
    """Mark experiments as deleted or as hidden, as MLflow said of them."""
    for row in MlflowExperiment.objects.filter(mlflow_id__in=presences):
        values = _values_of_missing(row, presences[row.mlflow_id])
        _save_changes(row, values, counts, quiet=True)


def _values_of_missing(row: MlflowExperiment, presence: Presence) -> dict[str, Any]:
    if presence is Presence.GONE:
        return {"deleted": True, "hidden_since": None}
    if presence is Presence.HIDDEN:
        return {"hidden_since": row.hidden_since or timezone.now()}
    return {}


def _experiment_values(each: types.Experiment, owners: dict[str, int]) -> dict[str, Any]:
    parts = naming.conforms(each.name)
    owner = owners.get(parts.experiment_id) if parts else None
    return {
        "name": each.name[:500],
        "artifact_location": each.artifact_location,
        "deleted": each.lifecycle_stage == "deleted",
        "hidden_since": None,
        "tags": each.tags,
        "experiment_id": owner,
        "agent_type": parts.agent_type if parts and owner else "",
        "created_at": each.created_at,
    }


@transaction.atomic
def _save_changes(
    row: MlflowExperiment,
    values: dict[str, Any],
    counts: Counts,
    *,
    quiet: bool = False,
    changed_at: datetime | None = None,
) -> None:
    changes = {name: value for name, value in values.items() if getattr(row, name) != value}
    if not changes:
        counts.unchanged += 0 if quiet else 1
        return
    note_experiment(row, values, changed_at)
    for name, value in changes.items():
        setattr(row, name, value)
    row.save(update_fields=[*changes, "synced_at"])
    if changes.get("deleted"):
        counts.deleted += 1
    else:
        counts.updated += 1
