"""Experiments at a glance, and the table of runs with the columns that one chooses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.contrib.auth.decorators import login_required
from django.db.models import Max
from django.http import HttpRequest, HttpResponse, HttpResponseBase, QueryDict
from django.views.decorators.http import require_safe

from e2i_site.core.http import csv_response
from e2i_site.core.paging import Bounded, KeysetPage, count_up_to, ordered_page
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
    Column,
    chosen_columns,
    csv_row,
    default_columns,
    metric_names,
    offered_columns,
    run_table,
)

RUNS_A_PAGE = 50
EXPERIMENTS_SHOWN = 6


class RunSearchForm(forms.Form):
    """The search line, and the commonest filters as menus."""

    q = forms.CharField(
        label="Search",
        required=False,
        widget=forms.TextInput(
            attrs={
                "type": "search",
                "placeholder": "metric.auc>0.9 param.lr=0.1 user:anna",
                "autocomplete": "off",
                "autocapitalize": "off",
                "spellcheck": "false",
                "aria-describedby": "search-help",
            }
        ),
    )
    status = forms.ChoiceField(
        choices=[("", "Any status"), *RunStatus.choices], required=False, label="Status"
    )
    source = forms.ChoiceField(
        choices=[("", "Any source"), *RunSource.choices], required=False, label="Source"
    )


@dataclass(frozen=True)
class Problem:
    """What of the search line was not understood, with the text around it."""

    before: str
    marked: str
    after: str
    message: str

    @classmethod
    def of(cls, line: str, error: SearchError) -> Problem:
        start, end = error.start, max(error.end, error.start + 1)
        return cls(line[:start], line[start:end] or " ", line[end:], error.message)

    def __str__(self) -> str:
        return f"At “{self.marked.strip() or 'the end'}”: {self.message}"


@dataclass(frozen=True)
class RunList:
    """The runs that fit the URL, or what was not understood of it."""

    listing: RunListing
    problem: Problem | None = None
    errors: tuple[str, ...] = ()

    @property
    def is_wrong(self) -> bool:
        return bool(self.problem or self.errors)


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
    chosen = chosen_columns(request)
    columns = chosen or tuple(default_columns(metric_names(page)))
    context: dict[str, Any] = {
        "form": RunSearchForm(request.GET),
        "problem": found.problem,
        "errors": found.errors,
        "page": page,
        "count": _all_shown(page),
        **run_table(rows, columns),
        "offered": [(column, column in columns) for column in offered_columns(page, columns)],
        "kept": (kept := _kept(request.GET, "columns")),
        "usual_query": urlencode([*kept, ("columns", "")]),
        "query": request.GET.urlencode(),
        "filtered": is_filtered(request.GET),
        "news_query": _news_query(request, _newest()),
    }
    if target != "results":
        context |= _experiments(request)
    return render_page(request, "training/home.html", context)


def _page(found: RunList, request: HttpRequest) -> KeysetPage:
    if found.is_wrong:
        return KeysetPage([], None, None)
    return ordered_page(found.listing.sections(), request, size=RUNS_A_PAGE)


def _all_shown(page: KeysetPage) -> Bounded | None:
    """How many runs fit, where the page shows all of them. Else they are counted after it."""
    if page.older is not None or page.newer is not None:
        return None
    return Bounded(len(page), is_exact=True)


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
        said = " ".join(map(str, (*([found.problem] if found.problem else []), *found.errors)))
        return HttpResponse(said, status=400, content_type="text/plain; charset=utf-8")
    columns = chosen or tuple(default_columns(metric_names(_page(found, request))))
    return csv_response(
        "training-runs",
        (*CSV_COLUMNS, *map(_heading, columns)),
        (csv_row(request, run, columns) for run in found.listing.every()),
    )


def _heading(column: Column) -> str:
    return column.name if column.is_metric else column.token


def run_list(query: QueryDict, shown: list[str] | tuple[str, ...] = ()) -> RunList:
    """Read search line, menus and order from the URL. `shown`: long columns that are needed."""
    base = queries.runs_for_list(TrainingRun.objects.all(), shown=shown)
    menus = RunMenus(query, queryset=base)
    errors = tuple(message for found in menus.errors.values() for message in map(str, found))
    order = Order.parse(query.get("sort") or DEFAULT_SORT)
    line = query.get("q", "")
    try:
        listing = RunListing(base if errors else menus.qs, parse(line), order)
        _ = listing.runs
    except SearchError as error:
        nothing = RunListing(base.none(), (), order)
        return RunList(nothing, Problem.of(line, error), errors)
    return RunList(listing, None, errors)


def _newest() -> int:
    return TrainingRun.objects.aggregate(newest=Max("pk"))["newest"] or 0


def _news(request: HttpRequest) -> HttpResponse:
    """How many fitting runs came in since the page was made; its rows do not jump."""
    seen = request.GET.get("seen", "")
    number = int(seen) if seen.isascii() and seen.isdigit() and len(seen) < 19 else 0
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


def _kept(query: QueryDict, *without: str) -> list[tuple[str, str]]:
    """The rest of the query, for hidden fields of a form that sets `without`."""
    left_out = {*without, "before", "after", "seen"}
    return [
        (name, value)
        for name in query
        if name not in left_out
        for value in query.getlist(name)
        if value
    ]


def is_filtered(query: QueryDict) -> bool:
    """Whether anything in the URL hides rows."""
    names = {"q", *RunMenus.base_filters}
    return any(query.get(name) for name in names)
