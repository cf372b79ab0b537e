"""E2I's paragraph in the description that MLflow shows for a version."""

from __future__ import annotations

from django.conf import settings

from e2i_site.mlflow_connector.guard.governed import NOTE
from registry.choices import Stage
from registry.models import RegistryEntry


def note_for(entry: RegistryEntry) -> str:
    """The paragraph; empty for a version that E2I never moved."""
    change = entry.stage_changes.exclude(from_stage="").order_by("-at", "-id").first()
    if change is None:
        return ""
    site = settings.SITE_URL.rstrip("/")
    stage = Stage(change.to_stage).label.lower()
    said = f"**E2I**: {stage} since {change.at:%Y-%m-%d %H:%M} UTC"
    if change.promotion_id:
        url = f"{site}/registry/promotions/{change.promotion_id}/"
        said += f", by [promotion {change.promotion_id}]({url})"
    else:
        said += f", by a {change.get_cause_display().lower()}"
    said += f". [History]({site}{entry.get_absolute_url()})."
    if entry.artifact_digest:
        said += f" Files: SHA-256 `{entry.artifact_digest}`."
    return f"<!-- e2i -->\n{said}\n<!-- /e2i -->"


def with_note(description: str, note: str) -> str:
    """The description with `note` as E2I's paragraph; everything else stays as people wrote it."""
    if not NOTE.search(description):
        return f"{description.rstrip()}\n\n{note}".lstrip() if note else description
    first = True

    def paragraph(_: object) -> str:
        nonlocal first
        kept, first = (note if first else ""), False
        return kept

    return NOTE.sub(paragraph, description)


def without_note(description: str) -> str:
    """What people wrote."""
    return NOTE.sub("", description).strip()
