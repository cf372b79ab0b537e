"""One version with its facts, and two versions side by side."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.views.decorators.http import require_safe

from e2i_site.core.partials import render_page
from registry import queries
from registry.choices import ALLOWED_PROMOTIONS
from registry.comparison import compare, metric_rows
from registry.models import RegisteredModel
from registry.policies import may_request
from registry.views.lineage import lineage
from registry.views.models import mlflow_url


@login_required
@require_safe
def version(request: HttpRequest, name: str, number: int) -> HttpResponse:
    """Facts, signature, metrics, promotions and deployments of one version."""
    entry = get_object_or_404(queries.version(name, number).prefetch_related("deployments"))
    context = {
        "entry": entry,
        "model": entry.model,
        "metrics": list(metric_rows(entry.training_run, None)),
        "promotions": queries.with_marks(queries.light(entry.promotions.all()))[:20],
        "history": entry.stage_changes.select_related("actor", "promotion")[:50],
        "findings": queries.findings_about(model=None, entries=[entry]),
        "lineage": lineage(entry),
        "moves": [
            (stage, may_request(request.user, entry, stage))  # type: ignore[arg-type]
            for stage in ALLOWED_PROMOTIONS[entry.stage]
        ],
        "mlflow_url": mlflow_url(name, number),
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
    if not (a.isdecimal() and b.isdecimal()):
        if len(numbers) < 2:
            raise Http404(f"{name} has fewer than two versions to compare.")
        url = reverse("registry:compare", args=[name])
        return redirect(f"{url}?a={numbers[1]}&b={numbers[0]}")
    found = queries.versions_for_comparison(name, {int(a), int(b)})
    if int(a) not in found or int(b) not in found:
        raise Http404(f"{name} has no version {a} or no version {b}.")
    context = {
        "model": model,
        "numbers": numbers,
        "a": int(a),
        "b": int(b),
        "comparison": compare(found[int(b)], found[int(a)]),
        "everything": request.GET.get("all") == "1",
    }
    return render_page(request, "registry/compare.html", context)
