"""Data sets: the list, and one with its columns, its provenance and who used it."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.http import require_safe

from e2i_site.core.partials import render_page
from training import queries
from training.models import Dataset

DATASETS_A_PAGE = 50
RUNS_SHOWN = 15


@login_required
@require_safe
def datasets(request: HttpRequest) -> HttpResponse:
    """All data sets, by name, the newest content of each name first."""
    rows = Dataset.objects.annotate(uses=Count("experiments")).order_by("name", "-pk")
    page = Paginator(rows, DATASETS_A_PAGE).get_page(request.GET.get("page"))
    return render_page(request, "training/datasets.html", {"page": page})


@login_required
@require_safe
def dataset(request: HttpRequest, pk: int) -> HttpResponse:
    """One data set, bound to its bytes by its digest."""
    found = get_object_or_404(Dataset.objects.select_related("created_by"), pk=pk)
    runs = list(queries.runs_for_list().filter(dataset=found).order_by("-pk")[: RUNS_SHOWN + 1])
    context = {
        "dataset": found,
        "experiments": list(found.experiments.all()),
        "runs": runs[:RUNS_SHOWN],
        "more_runs": len(runs) > RUNS_SHOWN,
        "same_name": list(Dataset.objects.filter(name=found.name).exclude(pk=found.pk)[:10]),
    }
    return render_page(request, "training/dataset.html", context)
