"""Shares as people read them."""

from __future__ import annotations

from django import template

from deployments.shadow import wording

register = template.Library()


@register.filter
def percent(share: float | None) -> str:
    """0.0123 gives "1.23 %"; a dash for what was not measured."""
    return "–" if share is None else wording.percent(share)
