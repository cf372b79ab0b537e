"""Mirror MLflow's registered models and versions. What is governed here stays as it is."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.db import models, transaction
from django.db.models import Q
from django.utils import timezone

from e2i_site.jobs.enqueue import enqueue
from e2i_site.mlflow_connector import NotFound, Presence, get_connector, types
from e2i_site.trail.record import record
from registry import trail_events
from registry.changes import RegistryChanges
from registry.choices import Stage, StageCause
from registry.models import RegisteredModel, RegistryEntry, StageChange
from training.choices import RunSource
from training.models import Experiment, TrainingRun
from training.sync import Counts
from training.sync.hidden import to_ask

_PROMPT_TAG = "mlflow.prompt.is_prompt"
_CHAMPION = "champion"
Key = tuple[str, int]


class RegistryMirror:
    """Mirrors the registry, or one model of it. Make it before MLflow is asked: what is new here
    since then is not taken for deleted there, and what was read later is not overwritten.

    Args:
        before: when the whole registry was read before.
    """

    def __init__(
        self,
        models: Counts,
        versions: Counts,
        *,
        only: str | None = None,
        changes: RegistryChanges | None = None,
        before: datetime | None = None,
    ) -> None:
        self.prompts = 0
        self._only, self._before = only, before
        self._asked_at = timezone.now()
        self._models, self._versions = models, versions
        self._changes = changes or RegistryChanges()
        rows, entries = RegisteredModel.objects.all(), RegistryEntry.objects.all()
        if only is not None:
            rows, entries = rows.filter(name=only), entries.filter(model__name=only)
        self._known_models = {row.name: row for row in rows}
        self._known_entries = {(row.model_id, row.model_version): row for row in entries}
        self._aliases: dict[str, dict[str, str]] = {}
        self._left_alone: set[str] = set()
        self._gone: set[str] = set()

    def mirror_models(self, found: Iterable[types.RegisteredModel]) -> None:
        """Mirror names, aliases and tags. An alias that somebody moved is shown, not obeyed."""
        owners = dict(Experiment.objects.values_list("experiment_id", "pk"))
        new: dict[datetime | None, str] = {}
        for each in found:
            if each.tags.get(_PROMPT_TAG) == "true":
                self.prompts += 1
                continue
            self._models.seen += 1
            self._aliases[each.name] = each.aliases
            if each.name in self._known_models:
                self._update_model(each)
            else:
                self._add_model(each, owners)
                new[each.created_at] = each.name
        self._note_missing(new)
        if self._only is not None:  # a read of everything that was asked earlier may still come
            known = RegisteredModel.objects.filter(name__in=self._aliases)
            earlier = Q(synced_at=None) | Q(synced_at__lt=self._asked_at)
            known.filter(earlier).update(synced_at=self._asked_at)

    def mirror_versions(self, found: Iterable[types.ModelVersion]) -> None:
        """Mirror versions; one that others registered becomes an entry in stage development."""
        listed: set[Key] = set()
        for each in found:
            if each.name not in self._aliases:
                continue
            key = (each.name, int(each.version))
            listed.add(key)
            self._versions.seen += 1
            row = self._known_entries.get(key)
            if each.name in self._left_alone:
                self._versions.unchanged += 1
            elif row is None:
                self._add(each)
            else:
                self._update_entry(row, each)
        for key in sorted(self._known_entries.keys() - listed):
            row = self._known_entries[key]
            if not row.deleted_in_mlflow and self._is_gone(key):
                self._mark_entry_gone(row)

    def _note_missing(self, new: dict[datetime | None, str]) -> None:
        """Tell models that were deleted or renamed from those hidden from us or only skipped."""
        missing = self._known_models.keys() - self._aliases.keys()
        self._gone = {name for name in missing if self._known_models[name].deleted_in_mlflow}
        for name in to_ask(missing - self._gone, self._known_models):
            row = self._known_models[name]
            became = new.get(row.created_in_mlflow, "") if row.created_in_mlflow else ""
            presence = get_connector().presence("model", name)
            if presence is Presence.GONE or (became and presence is Presence.HIDDEN):
                self._mark_model_gone(row, became)
            elif presence is Presence.HIDDEN:
                self._mark_model_hidden(row)
        self._left_alone |= missing - self._gone

    def _add_model(self, each: types.RegisteredModel, owners: dict[str, int]) -> None:
        defaults = {
            **_values_of_model(each),
            "experiment_id": _owner(each.name, owners),
            "synced_at": self._asked_at,
        }
        RegisteredModel.objects.get_or_create(name=each.name, defaults=defaults)
        self._models.created += 1

    def _update_model(self, each: types.RegisteredModel) -> None:
        values = _values_of_model(each)
        if not _differences(self._known_models[each.name], values):
            self._models.unchanged += 1
            return
        with transaction.atomic():
            row = RegisteredModel.objects.select_for_update().get(name=each.name)
            if row.synced_at is not None and row.synced_at > self._asked_at:
                self._left_alone.add(each.name)
                self._models.unchanged += 1
                return
            self._changes.note_model(row, each)
            _save_changes(row, values, self._models, synced_at=self._asked_at)

    def _update_entry(self, row: RegistryEntry, each: types.ModelVersion) -> None:
        values = self._values(each, row)
        if row.synced_at is not None and not _differences(row, values):
            self._versions.unchanged += 1
            return
        with transaction.atomic():
            row = RegistryEntry.objects.select_for_update().get(pk=row.pk)
            seen = RegisteredModel.objects.values_list("synced_at", flat=True).get(name=each.name)
            if seen is not None and seen > self._asked_at:
                self._versions.unchanged += 1
                return
            self._changes.note_version(row, each, self._seen_before(each.name))
            _save_changes(row, values, self._versions, synced_at=self._asked_at)

    def _is_gone(self, key: Key) -> bool:
        """False for versions that are there, and for those of models that are hidden or skipped."""
        name, version = key
        if name in self._gone or name in self._left_alone:
            return name in self._gone
        presence = get_connector().presence("version", name, str(version))
        if presence is Presence.HIDDEN:  # so is its model since the models were read
            self._left_alone.add(name)
        return presence is Presence.GONE

    @transaction.atomic
    def _mark_model_hidden(self, row: RegisteredModel) -> None:
        """It is there, but not for us; what we knew of it stays."""
        shown = RegisteredModel.objects.filter(pk=row.pk, hidden_since=None)
        if shown.update(hidden_since=timezone.now()):
            self._changes.note_hidden(row)
            self._models.updated += 1

    @transaction.atomic
    def _mark_model_gone(self, row: RegisteredModel, became: str) -> None:
        self._gone.add(row.name)
        if _mark_deleted(row, self._models):
            self._changes.note_gone(row, became=became)

    @transaction.atomic
    def _mark_entry_gone(self, row: RegistryEntry) -> None:
        """Its model going is told once, not once for each version."""
        if _mark_deleted(row, self._versions) and row.model_id not in self._gone:
            self._changes.note_gone(row)

    def _seen_before(self, name: str) -> datetime | None:
        """When the model was mirrored before this time."""
        known = self._known_models.get(name)
        if known is None or known.deleted_in_mlflow:
            return None
        times = [each for each in (known.synced_at, self._before) if each is not None]
        return max(times, default=None)

    def _values(self, each: types.ModelVersion, row: RegistryEntry) -> dict[str, Any]:
        """What MLflow decides. What was approved is bound to the source that is recorded."""
        champion = self._aliases[each.name].get(_CHAMPION) == each.version
        values: dict[str, Any] = {
            "description": each.description,
            "tags": each.tags,
            "deleted_in_mlflow": False,
            "is_champion": champion,
        }
        if row.training_run_id is None and each.run_id:
            run = TrainingRun.objects.filter(mlflow_run_id=each.run_id).first()
            if run is not None and _is_settled(run):
                values |= _lineage(run)
        return values

    @transaction.atomic
    def _add(self, each: types.ModelVersion) -> None:
        run = TrainingRun.objects.filter(mlflow_run_id=each.run_id).first() if each.run_id else None
        if run is not None and not _is_settled(run):
            self._versions.unchanged += 1  # E2I registers its own version when it is delivered
            return
        model = RegisteredModel.objects.get(name=each.name)
        entry, created = RegistryEntry.objects.get_or_create(
            model=model,
            model_version=int(each.version),
            defaults={
                "mlflow_run_id": each.run_id,
                "mlflow_model_uri": each.source,
                "description": each.description,
                "tags": each.tags,
                "is_champion": self._aliases[each.name].get(_CHAMPION) == each.version,
                "registered_at": each.created_at,
                "synced_at": self._asked_at,
                "experiment_id": model.experiment_id,
                **(_lineage(run) if run else {}),
            },
        )
        if created:
            self._versions.created += 1
            self._changes.note_new_version(each, self._seen_before(each.name))
            _register(entry, run)


def mirror_model(
    name: str, changes: RegistryChanges | None = None
) -> tuple[types.RegisteredModel, list[types.ModelVersion]]:
    """Read one model and its versions from MLflow and mirror them. Returns what MLflow said.

    Raises:
        NotFound: MLflow has no such model; its rows are marked as deleted.
        Unreachable, Rejected: nothing was changed.
    """
    connector = get_connector()
    mirror = RegistryMirror(Counts(), Counts(), only=name, changes=changes)
    try:
        model = connector.get_registered_model(name)
    except NotFound:
        mirror.mirror_models([])
        mirror.mirror_versions([])
        raise
    escaped = name.replace("'", "''")
    versions = list(connector.iter_model_versions(f"name = '{escaped}'"))
    mirror.mirror_models([model])
    mirror.mirror_versions(versions)
    return model, versions


def _register(entry: RegistryEntry, run: TrainingRun | None) -> None:
    """What every new version gets: its first stage, a trail entry, and its digest computed."""
    StageChange.objects.create(
        entry=entry,
        to_stage=Stage.DEVELOPMENT,
        cause=StageCause.REGISTERED,
        actor=None,
        reason="Found in MLflow.",
        at=entry.registered_at or timezone.now(),
    )
    if run is not None:
        TrainingRun.objects.filter(pk=run.pk, registry_entry=None).update(registry_entry=entry)
    record(
        trail_events.VERSION_REGISTERED,
        actor=None,
        subject=entry,
        new={"mlflow_run_id": entry.mlflow_run_id, "source": entry.mlflow_model_uri},
        reason="Found in MLflow.",
    )
    enqueue(
        "registry.fingerprint", payload={"entry": entry.pk}, key=f"registry.fingerprint:{entry.pk}"
    )


def _is_settled(run: TrainingRun) -> bool:
    """False while E2I itself is about to register what the run made."""
    return run.source == RunSource.MLFLOW or run.mlflow_available


def _lineage(run: TrainingRun) -> dict[str, Any]:
    """What a version inherits from its run, as far as the run tells."""
    values: dict[str, Any] = {
        "training_run_id": run.pk,
        "algorithm": run.algorithm,
        "framework": run.framework,
        "hyperparameters": run.hyperparameters,
        "training_samples": run.training_samples,
        "trained_at": run.completed_at,
        "trained_by_id": run.created_by_id,
    }
    if run.experiment_id:
        values["experiment_id"] = run.experiment_id
    metrics = {"auc": "test_roc_auc", "pr_auc": "test_pr_auc", "brier_score": "test_brier"}
    for field, metric in metrics.items():
        value = run.metrics.get(metric)
        if isinstance(value, int | float) and 0.0 <= value <= 1.0:
            values[field] = value
    return values


def _owner(name: str, owners: dict[str, int]) -> int | None:
    """The experiment whose model this is by its name, e2i_{experiment_id}_{algorithm}."""
    head, _, _ = name.removeprefix("e2i_").rpartition("_")
    return owners.get(head) if name.startswith("e2i_") else None


def _values_of_model(each: types.RegisteredModel) -> dict[str, Any]:
    return {
        "description": each.description,
        "aliases": each.aliases,
        "tags": each.tags,
        "deleted_in_mlflow": False,
        "hidden_since": None,
        "created_in_mlflow": each.created_at,
        "updated_in_mlflow": each.updated_at,
    }


def _differences(row: models.Model, values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if getattr(row, name) != value}


def _save_changes(row: models.Model, values: dict[str, Any], counts: Counts, **also: Any) -> None:
    changes = _differences(row, values)
    if changes or also:
        type(row)._default_manager.filter(pk=row.pk).update(**changes, **also)
    if changes:
        counts.updated += 1
    else:
        counts.unchanged += 1


def _mark_deleted(row: RegisteredModel | RegistryEntry, counts: Counts) -> bool:
    """True when it was not marked before."""
    present = type(row)._default_manager.filter(pk=row.pk, deleted_in_mlflow=False)
    also = {"hidden_since": None} if isinstance(row, RegisteredModel) else {}
    marked = bool(present.update(deleted_in_mlflow=True, **also))
    counts.deleted += marked
    return marked
