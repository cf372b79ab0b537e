"""Mirror MLflow's experiments."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils import timezone

from e2i_site.mlflow_connector import Presence, get_connector, naming, types
from training.changes import note_experiment
from training.models import Experiment, MlflowExperiment
from training.sync.counts import Counts
from training.sync.hidden import to_ask


def mirror_experiments(found: Iterable[types.Experiment], known: set[str], counts: Counts) -> None:
    """Mirror all experiments.

    `known` are the ids of rows that were there before MLflow was asked: those that MLflow does
    not list any more are marked as deleted when it has them no more, or as hidden where it only
    refuses to show them.

    Raises:
        Unreachable: MLflow does not say which of these it is.
    """
    rows = {row.mlflow_id: row for row in MlflowExperiment.objects.all()}
    owners = dict(Experiment.objects.values_list("experiment_id", "pk"))
    listed = set()
    for each in found:
        listed.add(each.experiment_id)
        counts.seen += 1
        values = _experiment_values(each, owners)
        row = rows.get(each.experiment_id)
        if row is None:
            MlflowExperiment.objects.get_or_create(mlflow_id=each.experiment_id, defaults=values)
            counts.created += 1
        else:
            _save_changes(row, values, counts, changed_at=each.updated_at)
    for missing in to_ask({each for each in known - listed if not rows[each].deleted}, rows):
        row = rows[missing]
        presence = get_connector().presence("experiment", missing)
        _save_changes(row, _values_of_missing(row, presence), counts, quiet=True)


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
