"""What a promotion past its gates shows for ever, and the door to it before."""

from __future__ import annotations

from typing import Any

from django import template
from django.template import Context

from registry.emergency_policies import may_break_glass, may_review_break_glass, may_stop
from registry.models import BreakGlass, Promotion, RegistryEntry
from registry.models.break_glass import ACCEPTANCES_NEEDED

register = template.Library()


@register.inclusion_tag("registry/_past_gates.html", takes_context=True)
def past_gates(context: Context, promotion: Promotion) -> dict[str, Any]:
    """Who let it past its gates, why, what others said; 2 queries, and none for the others."""
    if not promotion.past_gates:
        return {}
    broken = (
        BreakGlass.objects.select_related("promotion__entry", "actor")
        .prefetch_related("reviews__reviewer")
        .get(promotion=promotion)
    )
    reviews = list(broken.reviews.all())
    decision = may_review_break_glass(context["request"].user, broken, reviews)
    return {
        "broken": broken,
        "reviews": reviews,
        "needed": ACCEPTANCES_NEEDED,
        "may_judge": bool(decision) and not broken.is_closed,
    }


@register.simple_tag(takes_context=True)
def can_break_glass(context: Context, promotion: Promotion) -> bool:
    """Whether to show an administrator the way past the gates."""
    return bool(may_break_glass(context["request"].user, promotion))


@register.simple_tag(takes_context=True)
def can_stop(context: Context, entry: RegistryEntry) -> bool:
    """Whether to show the way to the emergency stop."""
    return bool(may_stop(context["request"].user, entry))
