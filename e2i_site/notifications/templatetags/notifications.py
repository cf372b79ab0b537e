"""The button that watches a model."""

from __future__ import annotations

from typing import Any

from django import template
from django.template import Context

register = template.Library()


@register.inclusion_tag("notifications/_watch.html", takes_context=True)
def watch_button(context: Context, scope: str, watched: bool) -> dict[str, Any]:
    """Watch `scope` ("model:churn"), or no more."""
    request = context["request"]
    return {
        "scope": scope,
        "watched": watched,
        "next": request.get_full_path(),
        "csrf_token": context.get("csrf_token", ""),
    }
