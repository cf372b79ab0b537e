"""What was decided about a promotion and on what evidence, as one file that MLflow keeps."""

from __future__ import annotations

import json
from typing import Any

from django.conf import settings
from django.core.serializers.json import DjangoJSONEncoder
from django.db.models import Model

from e2i_site.mlflow_connector.masking import mask
from registry.models import Promotion

FORMAT = 1


def artifact_path(promotion: Promotion) -> str:
    """Where the record is among the artifacts of its run."""
    return f"e2i/promotion-{promotion.pk}.json"


def record_of(promotion: Promotion) -> bytes:
    """The record as JSON: request, policy, gates with evidence, reviews, hashes."""
    entry, policy = promotion.entry, promotion.policy
    document = {
        "format": FORMAT,
        "url": f"{settings.SITE_URL.rstrip('/')}{promotion.get_absolute_url()}",
        "model": entry.model_id,
        "version": entry.model_version,
        "source": entry.mlflow_model_uri,
        "mlflow_run_id": entry.mlflow_run_id,
        "request": _row(promotion, "carried_at"),
        "policy": {"name": policy.name, "version": policy.version, "rules": policy.stages},
        "gates": [_row(gate, "promotion") for gate in promotion.gates.order_by("position")],
        "reviews": [
            _row(review, "promotion")
            for review in promotion.reviews.select_related("reviewer").order_by("id")
        ],
    }
    return json.dumps(mask(_plain(document)), indent=2, sort_keys=True).encode()


def _row(row: Model, *left_out: str) -> dict[str, Any]:
    """Every column, with people and things by their names, which outlive their numbers."""
    return {
        field.name: str(getattr(row, field.name) or "")
        if field.is_relation
        else field.value_from_object(row)
        for field in row._meta.concrete_fields
        if field.name not in left_out
    }


def _plain(document: dict[str, Any]) -> Any:
    return json.loads(json.dumps(document, cls=DjangoJSONEncoder))
