"""Reading again what MLflow's webhooks spoke of."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from django.utils import timezone

from e2i_site.activity.choices import EventSource
from e2i_site.activity.models import MlflowEvent, WebhookDelivery
from e2i_site.mlflow_connector import NotFound
from registry.changes import RegistryChanges, Told
from registry.mirror import mirror_model

#: MLflow gives a delivery up after some seconds; a job may wait while MLflow is away.
LATE = timedelta(minutes=10)


def apply_webhook(model_name: str) -> dict[str, Any]:
    """Mirror a model if a delivery about it waits; deliveries that came together are one reading.

    Raises:
        Unreachable, Rejected: nothing was changed; the deliveries wait.
    """
    waiting = list(
        WebhookDelivery.objects.filter(model_name=model_name, applied_at=None).order_by("sent_at")
    )
    if not waiting:
        return {"deliveries": 0}
    told = _told(waiting)
    try:
        mirror_model(model_name, RegistryChanges(EventSource.WEBHOOK, told))
        found = True
    except NotFound:
        found = False
    _date_earlier(model_name, told)
    applied = WebhookDelivery.objects.filter(pk__in=[each.pk for each in waiting])
    applied.filter(applied_at=None).update(applied_at=timezone.now())
    return {"deliveries": len(waiting), "found": found}


def _date_earlier(model_name: str, told: Told) -> None:
    """Fill in when it happened where the change was noticed before its delivery came."""
    lately = timezone.now() - LATE
    undated = MlflowEvent.objects.filter(
        model_name=model_name, happened_at=None, noticed_at__gte=lately
    )
    events = list(undated)
    told.date(events)
    dated = [event for event in events if event.happened_at]
    MlflowEvent.objects.bulk_update(dated, ["happened_at"])


def _told(deliveries: Iterable[WebhookDelivery]) -> Told:
    """When which alias or tag got which value."""
    at = {}
    for each in deliveries:
        name, data = each.model_name, each.data
        gone = each.action == "deleted"
        if each.entity == "model_version_alias":
            at[name, str(data.get("alias")), None if gone else str(data.get("version"))] = (
                each.sent_at
            )
        elif each.entity == "model_version_tag":
            value = None if gone else str(data.get("value", ""))
            at[f"{name}/{data.get('version')}", str(data.get("key")), value] = each.sent_at
    return Told(at)
