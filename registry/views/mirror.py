"""How far the mirror of MLflow can be trusted: how old it can be, and what MLflow hides from us."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from e2i_site.core.partials import render_page
from registry.models import RegisteredModel, SyncState
from registry.sync.cursor import Cursor
from registry.sync.report import KINDS
from training.models import MlflowExperiment

HIDDEN_SHOWN = 100


@dataclass(frozen=True)
class Bound:
    """What nothing of a kind can be older than; `at` None: it was never read whole."""

    what: str
    at: datetime | None
    how: str


@login_required
@require_safe
def mirror(request: HttpRequest) -> HttpResponse:
    """The last sync, the bounds of staleness, and the hidden things."""
    state = SyncState.objects.filter(source="mlflow").first()
    experiments = MlflowExperiment.objects.exclude(hidden_since=None).select_related("experiment")
    models = RegisteredModel.objects.exclude(hidden_since=None)
    counts = state.counts if state else {}
    context: dict[str, Any] = {
        "state": state,
        "bounds": bounds(state),
        "kinds": [
            (kind.replace("_", " ").capitalize(), counts[kind]) for kind in KINDS if kind in counts
        ],
        "hidden_experiments": experiments.order_by("hidden_since")[:HIDDEN_SHOWN],
        "hidden_models": models.order_by("hidden_since")[:HIDDEN_SHOWN],
    }
    return render_page(request, "registry/mirror.html", context, partials=())


def bounds(state: SyncState | None) -> list[Bound]:
    """How old what is shown can be, by kind of change."""
    cursor = Cursor.of(state.cursor, state.cursor.get("url", "")) if state else Cursor("")
    return [
        Bound(
            "Models, versions, aliases, tags",
            cursor.registry_at,
            "The whole registry is read in every sync; a webhook makes it sooner.",
        ),
        Bound(
            "New and ended runs",
            cursor.since,
            "Runs that started or ended are searched for in every sync.",
        ),
        Bound(
            "Late edits of old runs",
            cursor.covered_since,
            "MLflow does not tell of these, so every run is read again in rounds of at most "
            f"{settings.E2I_SYNC_SWEEP_HOURS:g} hours.",
        ),
    ]
