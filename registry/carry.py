"""Carrying stages to MLflow: the goal is read from the database, so repeating it is harmless."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.utils import timezone

from e2i_site.mlflow_connector import get_connector, types
from e2i_site.mlflow_connector.types import ModelVersion
from registry.carry_record import carry_records
from registry.choices import Stage
from registry.mirror import mirror_model
from registry.mlflow_note import note_for, with_note
from registry.models import RegisteredModel, RegistryEntry
from registry.wanted import CHAMPION, CHAMPION_TAG, wanted_aliases, wanted_tags


def carry(model_name: str) -> dict[str, Any]:
    """Set what differs in MLflow and mirror it here. Raises the connector's errors."""
    # First see what others did: what is set right below would hide it.
    model, versions = mirror_model(model_name)
    changed: dict[str, Any] = {"aliases": _carry_aliases(model_name, model.aliases), "tags": {}}
    _remember_champion(model)
    by_number = {int(each.version): each for each in versions}
    descriptions = []
    for entry in RegistryEntry.objects.filter(model__name=model_name):
        if version := by_number.get(entry.model_version):
            changed["tags"].update(_carry_tags(entry, version))
            if _carry_description(entry, version):
                descriptions.append(entry.model_version)
    if descriptions:
        changed["descriptions"] = descriptions
    if records := carry_records(model_name):
        changed["records"] = records
    return changed


def _carry_aliases(model_name: str, present: dict[str, str]) -> dict[str, str | None]:
    connector = get_connector()
    changed = {}
    for alias, version in wanted_aliases(model_name).items():
        if present.get(alias) == version:
            continue
        if version is None:
            connector.delete_alias(model_name, alias)
        else:
            connector.set_alias(model_name, alias, version)
        changed[alias] = version
    if changed:
        _store_aliases(model_name, changed)
    return changed


@transaction.atomic
def _store_aliases(model_name: str, changed: dict[str, str | None]) -> None:
    row = RegisteredModel.objects.select_for_update().get(name=model_name)
    aliases = {**row.aliases, **changed}
    row.aliases = {alias: version for alias, version in aliases.items() if version is not None}
    row.synced_at = timezone.now()  # A sync that asked MLflow before must not take it back.
    row.save(update_fields=["aliases", "synced_at"])


def _remember_champion(model: types.RegisteredModel) -> None:
    """A tag keeps it known that the team uses the alias champion while nothing holds it."""
    if CHAMPION not in model.aliases or CHAMPION_TAG in model.tags:
        return
    if wanted_aliases(model.name).get(Stage.PRODUCTION, "") == "":
        return  # E2I never put a version of it into production.
    get_connector().set_registered_model_tag(model.name, CHAMPION_TAG, Stage.PRODUCTION)
    with transaction.atomic():
        row = RegisteredModel.objects.select_for_update().get(name=model.name)
        row.tags = {**row.tags, CHAMPION_TAG: str(Stage.PRODUCTION)}
        row.synced_at = timezone.now()
        row.save(update_fields=["tags", "synced_at"])


def _carry_tags(entry: RegistryEntry, version: ModelVersion) -> dict[str, str]:
    connector = get_connector()
    missing = {
        key: value for key, value in wanted_tags(entry).items() if version.tags.get(key) != value
    }
    for key, value in missing.items():
        connector.set_version_tag(entry.model_id, entry.model_version, key, value)
    if missing:
        _store_tags(entry, missing)
    return {f"v{entry.model_version} {key}": value for key, value in missing.items()}


@transaction.atomic
def _store_tags(entry: RegistryEntry, changed: dict[str, str]) -> None:
    row = RegistryEntry.objects.select_for_update().get(pk=entry.pk)
    row.tags = {**row.tags, **changed}
    row.save(update_fields=["tags"])
    RegisteredModel.objects.filter(name=entry.model_id).update(synced_at=timezone.now())


def _carry_description(entry: RegistryEntry, version: ModelVersion) -> bool:
    wanted = with_note(version.description, note_for(entry))
    if wanted == version.description:
        return False
    get_connector().update_version_description(entry.model_id, entry.model_version, wanted)
    RegistryEntry.objects.filter(pk=entry.pk).update(description=wanted)
    RegisteredModel.objects.filter(name=entry.model_id).update(synced_at=timezone.now())
    return True
