"""Names and addresses of endpoints."""

from __future__ import annotations

import re

from django.conf import settings

from deployments.models import Deployment
from e2i_site.core.errors import Refused


def endpoint_for(model_name: str) -> str:
    """The endpoint of a model: its name, with a dash for what does not belong in a path.

    Raises Refused where another model uses the same endpoint.
    """
    endpoint = re.sub(r"[^-a-zA-Z0-9_]+", "-", model_name)
    others = Deployment.objects.filter(endpoint_name=endpoint).exclude(
        entry__model__name=model_name
    )
    if other := others.select_related("entry").first():
        raise Refused([f"The endpoint {endpoint} belongs to the model {other.entry.model_id}."])
    return endpoint


def endpoint_url(endpoint: str) -> str:
    """Where callers send requests for predictions."""
    return f"{settings.GATEWAY_URL.rstrip('/')}/{endpoint}/invocations"
