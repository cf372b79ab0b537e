"""The button that watches a model."""

from __future__ import annotations

from typing import Any

from django import template
from django.template import Context

from e2i_site.notifications.models import Watch

register = template.Library()


@register.inclusion_tag("notifications/_watch.html", takes_context=True)
def watch_button(context: Context, scope: str) -> dict[str, Any]:
    """Watch `scope` ("model:churn"), or no more; one query."""
    request = context["request"]
    return {
        "scope": scope,
        "watched": Watch.objects.filter(user=request.user, scope=scope).exists(),
        "next": request.get_full_path(),
        "csrf_token": context.get("csrf_token", ""),
    }
