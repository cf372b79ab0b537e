"""A model as it was at a moment of the past: /registry/models/NAME/?at=2026-11-01T12:00Z."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404

from e2i_site.core.errors import InvalidInput
from e2i_site.core.moments import in_words, past_moment
from e2i_site.core.partials import render_page
from registry import queries
from registry.choices import ALIASED_STAGES
from registry.history import Place, Snapshot, stages_at, trail_entries
from registry.models import RegisteredModel
from registry.views.events import stage_events

# Versions outside the governed stages that the table shows; the API lists all.
OTHERS_SHOWN = 50
EVENTS_SHOWN = 30


def model_at(request: HttpRequest, name: str) -> HttpResponse:
    """Versions on the stage track of that moment, who allowed each, and what served; ≤ 7 queries
    besides those of every page. Status 400, with the field as typed, for what is no past moment.
    """
    found = get_object_or_404(RegisteredModel, name=name)
    typed = request.GET["at"]
    context: dict[str, Any] = {"model": found, "typed": typed}
    try:
        moment = past_moment(typed)
    except InvalidInput as error:
        context["error"] = str(error)
        return render_page(request, "registry/model_at.html", context, status=400)
    snapshot = stages_at(moment, name)
    history = queries.stage_history(model_name=name, limit=EVENTS_SHOWN)
    shown = _shown(snapshot)
    context |= {
        "moment": moment,
        "moment_words": in_words(moment),
        "snapshot": snapshot,
        "places": shown,
        "hidden": len(snapshot.places) - len(shown),
        "history": stage_events(history, with_version=True, trail=trail_entries(history)),
    }
    return render_page(request, "registry/model_at.html", context)


def _shown(snapshot: Snapshot) -> list[Place]:
    """Production first, then shadow and staging, then the newest of the others."""
    governed = [p for stage in reversed(ALIASED_STAGES) for p in snapshot.in_stage(stage)]
    others = [place for place in snapshot.places if place.stage not in ALIASED_STAGES]
    return governed + others[:OTHERS_SHOWN]
