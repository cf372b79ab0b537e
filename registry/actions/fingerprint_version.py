"""Compute and record the digest of a version's files."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from django.db import transaction

from e2i_site.mlflow_connector import get_connector, models
from e2i_site.trail.record import record
from registry import trail_events
from registry.actions.refresh_gates import refresh_gates
from registry.models import Promotion, RegistryEntry


def fingerprint_version(*, entry_id: int) -> dict[str, Any]:
    """Download the files from MLflow, hash them, and re-evaluate the version's open promotions.

    A digest that is recorded already is never replaced: other bytes are the audit's business.
    Raises the connector's errors.
    """
    entry = RegistryEntry.objects.select_related("model").get(pk=entry_id)
    if not entry.artifact_digest:
        digest, signature = _download_and_hash(entry)
        _store(entry, digest, signature)
    for promotion in Promotion.objects.open().filter(entry=entry):
        refresh_gates(promotion=promotion)
    entry.refresh_from_db()
    return {"digest": entry.artifact_digest}


def _download_and_hash(entry: RegistryEntry) -> tuple[str, dict[str, Any]]:
    with tempfile.TemporaryDirectory(prefix="e2i-fingerprint-") as folder:
        target = Path(folder) / "model"
        uri = f"models:/{entry.model_id}/{entry.model_version}"
        get_connector().download_artifacts(uri, target)
        return models.digest(target), models.read_signature(target)


@transaction.atomic
def _store(entry: RegistryEntry, digest: str, signature: dict[str, Any]) -> None:
    stored = RegistryEntry.objects.filter(pk=entry.pk, artifact_digest="").update(
        artifact_digest=digest, signature=entry.signature or signature
    )
    if stored:
        record(trail_events.DIGEST_COMPUTED, actor=None, subject=entry, new={"digest": digest})
