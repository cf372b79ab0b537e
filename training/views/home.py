"""Experiments at a glance, and the table of runs with the columns that one chooses."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBase, QueryDict
from django.views.decorators.http import require_safe

from e2i_site.core.http import csv_response
from e2i_site.core.partials import render_page
from training import metrics, queries
from training.choices import RunSource, RunStatus
from training.filters import (
    DEFAULT_SORT,
    TrainingRunFilter,
    is_metric_name,
    search_runs,
    sort_runs,
)
from training.models import Experiment, TrainingRun
from training.policies import may_create_experiment

RUNS_A_PAGE = 50
EXPERIMENTS_SHOWN = 6
METRICS_SHOWN = 4
MOST_METRICS = 12


class RunSearchForm(forms.Form):
    """The search line, and the commonest filters as menus."""

    q = forms.CharField(
        label="Search",
        required=False,
        max_length=500,
        widget=forms.TextInput(
            attrs={
                "type": "search",
                "placeholder": "experiment:… test_roc_auc>=0.8 name",
                "autocomplete": "off",
                "spellcheck": "false",
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
class RunList:
    """The runs that fit the URL, and what was not understood of it."""

    runs: QuerySet[TrainingRun]
    errors: tuple[str, ...]
    sort: str
    columns: tuple[str, ...]


@login_required
@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """Experiments with their best runs, and the runs that fit the search."""
    found = run_list(request.GET)
    page = Paginator(found.runs, RUNS_A_PAGE).get_page(request.GET.get("page"))
    rows = [(run, metrics.values(run)) for run in page.object_list]
    offered = metrics.in_order((*(name for _, values in rows for name in values), *found.columns))
    columns = found.columns or tuple(default_columns(offered))
    context: dict[str, Any] = {
        "form": RunSearchForm(request.GET),
        "errors": found.errors,
        "page": page,
        **run_table(rows, columns),
        "offered": [(name, metrics.label(name), name in columns) for name in offered],
        "kept": _kept(request.GET, "columns"),
        "query": request.GET.urlencode(),
        "filtered": is_filtered(request.GET),
    }
    if not (request.htmx and request.htmx.target == "results"):  # type: ignore[attr-defined]
        context |= _experiments(request)
    return render_page(request, "training/home.html", context)


def run_table(
    rows: Sequence[tuple[TrainingRun, Mapping[str, float]]], columns: Sequence[str]
) -> dict[str, Any]:
    """Context of a table of runs: each with its values as (column label, value)."""
    labels = [(name, metrics.label(name)) for name in columns]
    return {
        "rows": [
            (run, [(label, values.get(name)) for name, label in labels]) for run, values in rows
        ],
        "columns": labels,
    }


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
    found = run_list(request.GET)
    if found.errors:
        return HttpResponse(" ".join(found.errors), status=400, content_type="text/plain")
    columns = found.columns or tuple(default_columns(_names(found.runs[:RUNS_A_PAGE])))
    rows = (_cells(request, run, columns) for run in found.runs.iterator(chunk_size=500))
    return csv_response("training-runs", (*COLUMNS, *columns), rows)


COLUMNS = (
    "run",
    "name",
    "experiment",
    "algorithm",
    "framework",
    "status",
    "source",
    "started by",
    "started at",
    "duration s",
    "mlflow run id",
    "written to mlflow",
    "address",
)


def _cells(request: HttpRequest, run: TrainingRun, columns: Sequence[str]) -> list[object]:
    values = metrics.values(run)
    return [
        run.pk,
        run.run_name,
        run.experiment.experiment_id if run.experiment else "",
        run.algorithm,
        run.framework,
        run.get_status_display(),
        run.get_source_display(),
        queries.person(run),
        run.started_at.isoformat() if run.started_at else "",
        run.duration_seconds,
        run.mlflow_run_id,
        "yes" if run.mlflow_available else "no",
        request.build_absolute_uri(run.get_absolute_url()),
        *(values.get(name) for name in columns),
    ]


def run_list(query: QueryDict) -> RunList:
    """Read search line, menus, order and columns from the URL."""
    runs, errors = search_runs(query.get("q", "").strip()[:500], queries.runs_for_list())
    menus = TrainingRunFilter(query, queryset=runs)
    errors += tuple(message for found in menus.errors.values() for message in map(str, found))
    sort = query.get("sort") or DEFAULT_SORT
    return RunList(
        runs=runs.none() if errors else sort_runs(menus.qs, sort),
        errors=errors,
        sort=sort,
        columns=_columns(query),
    )


def _columns(query: QueryDict) -> tuple[str, ...]:
    """Metric columns asked for, as ?columns=a&columns=b or ?columns=a,b."""
    wanted = [name for part in query.getlist("columns") for name in part.split(",")]
    known = dict.fromkeys(name for name in wanted if is_metric_name(name))
    return tuple(known)[:MOST_METRICS]


def default_columns(offered: Sequence[str]) -> list[str]:
    """The best-known metrics of the test split, else the best-known ones there are."""
    test = [name for name in offered if metrics.split_name(name)[0] == "test"]
    others = [name for name in offered if not metrics.split_name(name)[0]]
    return [*test, *others][:METRICS_SHOWN]


def _names(runs: Iterable[TrainingRun]) -> list[str]:
    return metrics.in_order(name for run in runs for name in metrics.values(run))


def _kept(query: QueryDict, *without: str) -> list[tuple[str, str]]:
    """The rest of the query, for hidden fields of a form that sets `without`."""
    left_out = {*without, "page"}
    return [
        (name, value)
        for name in query
        if name not in left_out
        for value in query.getlist(name)
        if value
    ]


def is_filtered(query: QueryDict) -> bool:
    """Whether anything in the URL hides rows."""
    names = {"q", *TrainingRunFilter.base_filters}
    return any(query.get(name) for name in names)
