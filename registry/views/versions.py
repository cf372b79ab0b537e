"""One version with its facts, and two versions side by side."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.views.decorators.http import require_safe

from e2i_site.core.http import number_in
from e2i_site.core.partials import render_page
from registry import queries
from registry.comparison import columns, compare
from registry.history import trail_entries
from registry.mlflow_note import without_note
from registry.models import Promotion, RegisteredModel, RegistryEntry
from registry.policies import may_deprecate, may_write_card
from registry.views.events import stage_events
from registry.views.forest import with_forests
from registry.views.lineage import lineage
from registry.views.models import mlflow_url
from registry.views.moves import moves
from registry.views.queue import Row


@login_required
@require_safe
def version(request: HttpRequest, name: str, number: int) -> HttpResponse:
    """Facts, signature, metrics, promotions and deployments of one version."""
    entry = get_object_or_404(queries.version(name, number).prefetch_related("deployments"))
    alone = compare(entry, None)
    history = list(entry.stage_changes.select_related("entry", "actor")[:50])
    context = {
        "entry": entry,
        "model": entry.model,
        "description": without_note(entry.description),
        "comparison": alone,
        "metrics": with_forests(alone),
        "rows": [Row(each) for each in _promotions(entry)],
        "history": stage_events(history, with_version=False, trail=trail_entries(history)),
        "findings": queries.findings_about(model=None, entries=[entry]),
        "lineage": lineage(entry),
        "card_lines": card_lines(entry),
        "card_url": reverse("registry:card", args=[name, number]),
        "may_write_card": may_write_card(request.user),  # type: ignore[arg-type]
        "may_deprecate": may_deprecate(request.user, entry),  # type: ignore[arg-type]
        "moves": moves(request.user, entry),  # type: ignore[arg-type]
        "columns": columns(entry).items(),
        "quality": getattr(entry.training_run, "data_quality", None),
        "mlflow_url": mlflow_url(name, number),
        "load_uri": f"models:/{name}/{number}",
        "load_note": "loads exactly this version.",
    }
    return render_page(request, "registry/version.html", context)


@login_required
@require_safe
def compare_two(request: HttpRequest, name: str) -> HttpResponse:
    """Version `a` (the baseline) and version `b` side by side; the URL holds the choice."""
    model = get_object_or_404(RegisteredModel, name=name)
    numbers = list(
        model.entries.order_by("-model_version").values_list("model_version", flat=True)[:200]
    )
    a, b = request.GET.get("a", ""), request.GET.get("b", "")
    before, after = number_in(a), number_in(b)
    if before is None or after is None:
        if len(numbers) < 2:
            raise Http404(f"{name} has fewer than two versions to compare.")
        url = reverse("registry:compare", args=[name])
        return redirect(f"{url}?a={numbers[1]}&b={numbers[0]}")
    found = queries.versions_for_comparison(name, {before, after})
    if before not in found or after not in found:
        raise Http404(f"{name} has no version {a} or no version {b}.")
    comparison = compare(found[after], found[before])
    context = {
        "model": model,
        "numbers": numbers,
        "a": before,
        "b": after,
        "comparison": comparison,
        "metrics": with_forests(comparison),
        "everything": request.GET.get("all") == "1",
    }
    return render_page(request, "registry/compare.html", context)


def card_lines(entry: RegistryEntry) -> list[tuple[str, str]]:
    """(label, text) of what the version's card says."""
    written = getattr(entry, "card", None)
    content = written.content if written else {}
    return [(name.replace("_", " ").capitalize(), text) for name, text in content.items()]


def _promotions(entry: RegistryEntry) -> QuerySet[Promotion]:
    return queries.with_marks(queries.light(entry.promotions.order_by("-id")))[:20]
