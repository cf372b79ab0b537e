"""Mirror MLflow's registered models and versions. What is governed here stays as it is."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db import models, transaction
from django.utils import timezone

from e2i_site.jobs.enqueue import enqueue
from e2i_site.mlflow_connector import types
from e2i_site.trail.record import record
from registry import trail_events
from registry.choices import Stage, StageCause
from registry.models import RegisteredModel, RegistryEntry, StageChange
from training.choices import RunSource
from training.models import Experiment, TrainingRun
from training.sync import Counts

_PROMPT_TAG = "mlflow.prompt.is_prompt"
_CHAMPION = "champion"
Key = tuple[str, int]


class RegistryMirror:
    """Mirrors the whole registry. Make it before MLflow is asked: what is new here since then
    is not taken for deleted there."""

    def __init__(self, models: Counts, versions: Counts) -> None:
        self._models, self._versions = models, versions
        self._known_models = {row.name: row for row in RegisteredModel.objects.all()}
        self._known_entries = {
            (row.model_id, row.model_version): row for row in RegistryEntry.objects.all()
        }
        self._aliases: dict[str, dict[str, str]] = {}

    def mirror_models(self, found: Iterable[types.RegisteredModel]) -> None:
        """Mirror names, aliases and tags. An alias that somebody moved is shown, not obeyed."""
        owners = dict(Experiment.objects.values_list("experiment_id", "pk"))
        for each in found:
            if each.tags.get(_PROMPT_TAG) == "true":
                continue
            self._models.seen += 1
            self._aliases[each.name] = each.aliases
            values = {
                "description": each.description,
                "aliases": each.aliases,
                "tags": each.tags,
                "deleted_in_mlflow": False,
            }
            row = self._known_models.get(each.name)
            if row is None:
                defaults = {**values, "experiment_id": _owner(each.name, owners)}
                RegisteredModel.objects.get_or_create(name=each.name, defaults=defaults)
                self._models.created += 1
            else:
                _save_changes(row, values, self._models)
        for name in self._known_models.keys() - self._aliases.keys():
            _mark_deleted(self._known_models[name], self._models)
        RegisteredModel.objects.filter(name__in=self._aliases).update(synced_at=timezone.now())

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
            if row is None:
                self._add(each)
            else:
                _save_changes(row, self._values(each, row), self._versions)
        for key in self._known_entries.keys() - listed:
            _mark_deleted(self._known_entries[key], self._versions)

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
                "experiment_id": model.experiment_id,
                **(_lineage(run) if run else {}),
            },
        )
        if created:
            self._versions.created += 1
            _register(entry, run)


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


def _save_changes(row: models.Model, values: dict[str, Any], counts: Counts) -> None:
    changes = {name: value for name, value in values.items() if getattr(row, name) != value}
    if not changes:
        counts.unchanged += 1
        return
    type(row)._default_manager.filter(pk=row.pk).update(**changes)
    counts.updated += 1


def _mark_deleted(row: RegisteredModel | RegistryEntry, counts: Counts) -> None:
    if not row.deleted_in_mlflow:
        type(row)._default_manager.filter(pk=row.pk).update(deleted_in_mlflow=True)
        counts.deleted += 1
