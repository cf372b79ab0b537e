"""Carrying stages to MLflow: the goal is read from the database, so repeating it is harmless."""

from __future__ import annotations

from typing import Any

from e2i_site.mlflow_connector import get_connector
from e2i_site.mlflow_connector.types import ModelVersion
from registry.choices import ALIASED_STAGES, PromotionState
from registry.models import Promotion, RegisteredModel, RegistryEntry, StageChange

STAGE_TAG = "e2i.stage"
PROMOTION_TAG = "e2i.promotion_id"


def wanted_aliases(model_name: str) -> dict[str, str | None]:
    """{alias: version} for every stage this model has ever had here; None when it is empty now.

    Aliases of stages that E2I never used for the model belong to others and stay untouched.
    """
    used = set(
        StageChange.objects.filter(
            entry__model__name=model_name, to_stage__in=ALIASED_STAGES
        ).values_list("to_stage", flat=True)
    )
    # Staging may hold several versions; the alias shows the newest.
    entries = RegistryEntry.objects.filter(model__name=model_name, stage__in=used)
    present = {entry.stage: str(entry.model_version) for entry in entries.order_by("model_version")}
    return {stage: present.get(stage) for stage in sorted(used)}


def wanted_tags(entry: RegistryEntry) -> dict[str, str]:
    """The tags that MLflow's version should carry; none for one that E2I never moved."""
    if not entry.stage_changes.exclude(from_stage="").exists():
        return {}
    tags = {STAGE_TAG: entry.stage}
    last = (
        Promotion.objects.filter(entry=entry, state=PromotionState.APPLIED)
        .order_by("-applied_at")
        .first()
    )
    if last is not None:
        tags[PROMOTION_TAG] = str(last.pk)
    return tags


def carry(model_name: str) -> dict[str, Any]:
    """Set what differs in MLflow and mirror it here. Raises the connector's errors."""
    connector = get_connector()
    aliases = dict(connector.get_registered_model(model_name).aliases)
    changed: dict[str, Any] = {"aliases": {}, "tags": {}}
    for alias, version in wanted_aliases(model_name).items():
        if aliases.get(alias) == version:
            continue
        if version is None:
            connector.delete_alias(model_name, alias)
            aliases.pop(alias, None)
        else:
            connector.set_alias(model_name, alias, version)
            aliases[alias] = version
        changed["aliases"][alias] = version
    escaped = model_name.replace("'", "''")
    versions = {v.version: v for v in connector.iter_model_versions(f"name = '{escaped}'")}
    for entry in RegistryEntry.objects.filter(model__name=model_name):
        if version_row := versions.get(str(entry.model_version)):
            changed["tags"].update(_carry_tags(entry, version_row))
    RegisteredModel.objects.filter(name=model_name).update(aliases=aliases)
    return changed


def _carry_tags(entry: RegistryEntry, version: ModelVersion) -> dict[str, str]:
    connector = get_connector()
    missing = {
        key: value for key, value in wanted_tags(entry).items() if version.tags.get(key) != value
    }
    for key, value in missing.items():
        connector.set_version_tag(entry.model_id, entry.model_version, key, value)
    if missing:
        RegistryEntry.objects.filter(pk=entry.pk).update(tags={**entry.tags, **missing})
    return {f"v{entry.model_version} {key}": value for key, value in missing.items()}
