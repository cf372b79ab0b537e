"""Experiments at a glance, and the table of runs with the columns that one chooses."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django import forms
from django.contrib.auth.decorators import login_required
from django.db.models import Max
from django.http import HttpRequest, HttpResponse, HttpResponseBase, QueryDict
from django.views.decorators.http import require_safe

from e2i_site.core.http import csv_response, number_in
from e2i_site.core.paging import KeysetPage, count_up_to, ordered_page
from e2i_site.core.partials import render_page
from training import metrics, queries
from training.choices import RunSource, RunStatus
from training.filters import RunMenus
from training.models import Experiment, TrainingRun
from training.policies import may_create_experiment
from training.search.grammar import SearchError, parse
from training.search.listing import RunListing
from training.search.order import DEFAULT_SORT, Order
from training.views.run_table import (
    CSV_COLUMNS,
    chosen_columns,
    csv_row,
    default_columns,
    metric_names,
    offered_columns,
    run_table,
)
from training.views.search_page import (
    Found,
    Problem,
    all_shown,
    is_filtered,
    kept,
    search_line,
)

RUNS_A_PAGE = 50
EXPERIMENTS_SHOWN = 6


class RunSearchForm(forms.Form):
    """The search line, and the commonest filters as menus."""

    q = search_line("metric.auc>0.9 param.lr=0.1 user:anna", "training:run_names")
    status = forms.ChoiceField(
        choices=[("", "Any status"), *RunStatus.choices], required=False, label="Status"
    )
    source = forms.ChoiceField(
        choices=[("", "Any source"), *RunSource.choices], required=False, label="Source"
    )


@login_required
@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """Experiments with their best runs, and the runs that fit the search."""
    target = request.htmx.target if request.htmx else ""  # type: ignore[attr-defined]
    if target == "news":
        return _news(request)
    if target == "count":
        return _count(request)
    found = run_list(request.GET, shown=("params", "tags"))
    page = _page(found, request)
    rows = [(run, metrics.values(run)) for run in page]
    names = metric_names(page)
    columns = chosen_columns(request) or tuple(default_columns(names))
    context: dict[str, Any] = {
        "form": RunSearchForm(request.GET),
        "problem": found.problem,
        "errors": found.errors,
        "page": page,
        "count": all_shown(page),
        **run_table(rows, columns),
        "offered": [
            (column, column in columns) for column in offered_columns(names, page, columns)
        ],
        "kept": (others := kept(request.GET, "columns")),
        "usual_query": urlencode([*others, ("columns", "")]),
        "query": request.GET.urlencode(),
        "filtered": is_filtered(request.GET, RunMenus.base_filters),
        "news_query": _news_query(request, _newest()),
    }
    if target != "results":
        context |= _experiments(request)
    return render_page(request, "training/home.html", context)


def _page(found: Found, request: HttpRequest) -> KeysetPage:
    if found.is_wrong:
        return KeysetPage([], None, None)
    return ordered_page(found.listing.sections(), request, size=RUNS_A_PAGE)


def _count(request: HttpRequest) -> HttpResponse:
    """How many runs fit: the part that the page asks for when its rows are shown."""
    found = run_list(request.GET)
    count = None if found.is_wrong else count_up_to(found.listing.runs)
    return render_page(request, "training/home.html", {"count": count}, partials=("count",))


def _experiments(request: HttpRequest) -> dict[str, Any]:
    found = queries.experiment_summaries(Experiment.objects.all(), limit=EXPERIMENTS_SHOWN + 1)
    return {
        "experiments": found[:EXPERIMENTS_SHOWN],
        "more_experiments": len(found) > EXPERIMENTS_SHOWN,
        "may_create": may_create_experiment(request.user),
    }


@login_required
@require_safe
def export(request: HttpRequest) -> HttpResponseBase:
    """The same runs as the page, all of them, with the same columns, as CSV."""
    chosen = chosen_columns(request)
    found = run_list(request.GET, shown=[f"{column.kind}s" for column in chosen])
    if found.is_wrong:
        return found.refused()
    columns = chosen or tuple(default_columns(metric_names(_page(found, request))))
    return csv_response(
        "training-runs",
        (*CSV_COLUMNS, *(column.heading for column in columns)),
        (csv_row(request, run, columns) for run in found.listing.every()),
    )


def run_list(query: QueryDict, shown: list[str] | tuple[str, ...] = ()) -> Found:
    """Read search line, menus and order from the URL. `shown`: long columns that are needed."""
    base = queries.runs_for_list(TrainingRun.objects.all(), shown=shown)
    menus = RunMenus(query, queryset=base)
    errors = tuple(message for found in menus.errors.values() for message in map(str, found))
    order = Order.parse(query.get("sort") or DEFAULT_SORT)
    line = query.get("q", "")
    try:
        listing = RunListing(base if errors else menus.qs, parse(line), order, base)
        _ = listing.runs
    except SearchError as error:
        nothing = RunListing(base.none(), (), order)
        return Found(nothing, Problem.of(line, error), errors)
    return Found(listing, None, errors)


def _newest() -> int:
    return TrainingRun.objects.aggregate(newest=Max("pk"))["newest"] or 0


def _news(request: HttpRequest) -> HttpResponse:
    """How many fitting runs came in since the page was made; its rows do not jump."""
    number = number_in(request.GET.get("seen", "")) or 0
    found = run_list(request.GET)
    fresh = TrainingRun.objects.none() if found.is_wrong else found.listing.runs
    context = {
        "news": count_up_to(fresh.filter(pk__gt=number), 999) if number else None,
        "news_query": _news_query(request, number),
    }
    return render_page(request, "training/home.html", context, partials=("news",))


def _news_query(request: HttpRequest, seen: int) -> str:
    query = request.GET.copy()
    for name in ("before", "after"):
        query.pop(name, None)
    query["seen"] = str(seen)
    return query.urlencode()
