"""Say that MLflow has everything about a promotion."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone

from e2i_site.trail.record import record
from registry import trail_events
from registry.models import Promotion


@transaction.atomic
def note_carried(*, promotion: Promotion, run_id: str, artifact: str, sha256: str) -> bool:
    """Note where MLflow keeps the promotion's record; False when that was noted before."""
    noted = Promotion.objects.filter(pk=promotion.pk, carried_at=None).update(
        carried_at=timezone.now()
    )
    if noted:
        record(
            trail_events.PROMOTION_CARRIED,
            actor=None,
            subject=promotion,
            new={"mlflow_run_id": run_id, "artifact": artifact, "sha256": sha256},
        )
    return bool(noted)
