"""One model with its versions, stages, lineage and findings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.db.models import OuterRef, Value
from django.db.models.functions import Concat
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.views.decorators.http import require_safe

from e2i_site.core.partials import render_page
from e2i_site.notifications.subscriptions import watched_by
from registry import queries
from registry.choices import ALIASED_STAGES, Stage
from registry.history import trail_entries
from registry.model_rows import model_row, with_versions
from registry.models import RegisteredModel, RegistryEntry
from registry.views.events import stage_events
from registry.views.history import model_at
from registry.views.lineage import lineage


@login_required
@require_safe
def model(request: HttpRequest, name: str) -> HttpResponse:
    """One model: versions by stage, history, lineage, findings; with `at`, as it was then."""
    if "at" in request.GET:
        return model_at(request, name)
    watched = watched_by(request.user, Concat(Value("model:"), OuterRef("name")))  # type: ignore[arg-type]
    models = with_versions(RegisteredModel.objects.annotate(watched=watched))
    found = get_object_or_404(models, name=name)
    newest = getattr(found, "newest_version", None) or 0
    up_to = _number(request.GET.get("before"), newest + 1) - 1
    entries = queries.entries_of(found, up_to=up_to)
    history = queries.stage_history(model_name=name)
    shown = _in_focus(entries, request.GET.get("version"))
    lowest = up_to - queries.VERSIONS_A_PAGE + 1
    context = {
        "model": found,
        "row": model_row(found, entries, history),
        "track": _track(entries),
        "entries": [entry for entry in entries if entry.model_version <= up_to],
        "older": lowest if lowest > 1 else None,
        "is_first_page": up_to >= newest,
        "history": stage_events(history[:30], with_version=True, trail=trail_entries(history[:30])),
        "findings": queries.findings_about(model=found, entries=entries),
        "focus": shown,
        "lineage": lineage(shown) if shown else None,
        "serving": _serving(entries),
        "mlflow_url": mlflow_url(name),
        "trail_url": trail_url(found.trail_scope),
        "governed": [stage.value for stage in ALIASED_STAGES],
        "load_uri": f"models:/{name}@production",
        "activity_query": urlencode({"model": name}),
        "load_note": "loads whatever is in production at that moment.",
    }
    return render_page(request, "registry/model.html", context)


def mlflow_url(name: str, version: int | None = None) -> str:
    """Where MLflow's own pages show the model, or one version of it."""
    base = f"{settings.MLFLOW_UI_URL.rstrip('/')}/#/models/{quote(name, safe='')}"
    return f"{base}/versions/{version}" if version else base


def _number(text: str | None, default: int) -> int:
    return int(text) if text and text.isdecimal() and len(text) < 10 else default


def _track(entries: list[RegistryEntry]) -> list[tuple[Stage, list[RegistryEntry]]]:
    """Every stage in order of travel with its versions among `entries`."""
    return [(stage, [e for e in entries if e.stage == stage]) for stage in Stage]


def _in_focus(entries: list[RegistryEntry], wanted: str | None) -> RegistryEntry | None:
    """The version whose lineage is drawn: the one asked for, else production, else the newest."""
    number = _number(wanted, 0)
    for entry in entries:
        if entry.model_version == number:
            return entry
    production = [entry for entry in entries if entry.stage == Stage.PRODUCTION]
    return next(iter(production or entries), None)


@dataclass(frozen=True)
class Serving:
    """A version behind an endpoint."""

    entry: RegistryEntry
    deployment: Any


def _serving(entries: list[RegistryEntry]) -> list[Serving]:
    """What the gateway holds now, production before other environments."""
    live = [
        Serving(entry, deployment)
        for entry in entries
        for deployment in entry.deployments.all()
        if deployment.status in ("active", "deploying", "draining")
    ]
    return sorted(live, key=lambda each: (each.deployment.environment, -each.deployment.pk))


def trail_url(scope: str) -> str:
    """Everything the trail holds about a model."""
    return f"{reverse('trail:home')}?{urlencode({'scope': scope})}"
