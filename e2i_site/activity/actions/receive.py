"""Taking in what MLflow's webhook sends."""

from __future__ import annotations

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from e2i_site.activity.models import WebhookDelivery, WebhookState
from e2i_site.jobs.enqueue import enqueue
from e2i_site.mlflow_connector.webhooks import Delivery


@transaction.atomic
def receive_delivery(delivery: Delivery) -> bool:
    """Store a verified delivery and have its model read again; False when it was known.

    It is a hint, not a fact to store: deliveries come in any order, and some never.
    """
    name = str(delivery.data.get("name", ""))[:256]
    _, is_new = WebhookDelivery.objects.get_or_create(
        delivery_id=delivery.delivery_id,
        defaults={
            "entity": delivery.entity,
            "action": delivery.action,
            "model_name": name,
            "data": delivery.data,
            "sent_at": delivery.sent_at,
            "received_at": timezone.now(),
        },
    )
    if not is_new:
        _count("repeated")
        return False
    _count("verified", verified_at=timezone.now())
    if name:
        enqueue(
            "mlflow.apply_webhook",
            payload={"model": name},
            subject=f"model:{name}",
            key=f"webhook:{delivery.delivery_id}",
        )
    return True


def refuse_delivery(reason: str) -> None:
    """Count what was not believed; it leaves nothing else."""
    _count("rejected", rejected_at=timezone.now(), rejected_reason=reason[:200])


def _count(column: str, **also: object) -> None:
    changes = {column: F(column) + 1, **also}
    if not WebhookState.objects.filter(pk=1).update(**changes):
        WebhookState.objects.get_or_create(pk=1)
        WebhookState.objects.filter(pk=1).update(**changes)
