"""The list of models: searched, ordered, with the columns that one chooses, and as CSV."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlencode

from django import forms
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseBase, QueryDict
from django.views.decorators.http import require_safe

from e2i_site.core.http import csv_response
from e2i_site.core.paging import KeysetPage, count_up_to, ordered_page
from e2i_site.core.partials import render_page
from registry.choices import ALIASED_STAGES, Stage
from registry.filters import ModelMenus
from registry.model_rows import ModelRow, model_rows, with_versions
from registry.models import RegisteredModel
from registry.search.completion import known_names
from registry.search.conditions import MODELS
from registry.search.listing import MODEL_ORDERS, ModelListing
from training import metrics
from training.search.completion import complete
from training.search.grammar import LONGEST, SearchError, parse
from training.search.order import Order
from training.views.completion import options
from training.views.run_table import (
    Cell,
    Column,
    chosen_columns,
    default_columns,
    offered_columns,
)
from training.views.search_page import (
    Found,
    Problem,
    all_shown,
    is_filtered,
    kept,
    search_line,
)

MODELS_A_PAGE = 50
METRICS_SHOWN = 1
REMEMBERED = "model_columns"
TEMPLATE = "registry/models.html"


class ModelSearchForm(forms.Form):
    """The search line, and the commonest filter as a menu."""

    q = search_line(
        "churn stage:production tag.team:growth metric.auc>0.8 drift:yes", "registry:model_names"
    )
    stage = forms.ChoiceField(
        choices=[("", "Any stage"), *Stage.choices], required=False, label="Has a version in"
    )


@login_required
@require_safe
def models(request: HttpRequest) -> HttpResponse:
    """The models that fit: where their versions are, what waits, what drifted."""
    found = model_list(request.GET)
    if request.htmx and request.htmx.target == "count":  # type: ignore[attr-defined]
        count = None if found.is_wrong else count_up_to(found.listing.models)
        return render_page(request, TEMPLATE, {"count": count}, partials=("count",))
    page = _page(found, request)
    rows = model_rows(page.rows)
    names = _metric_names(rows)
    columns = chosen_columns(request, REMEMBERED) or _usual(names)
    heads = [row.head for row in rows if row.head]
    others = kept(request.GET, "columns")
    context = {
        "form": ModelSearchForm(request.GET),
        "problem": found.problem,
        "errors": found.errors,
        "page": page,
        "count": all_shown(page),
        "rows": [(row, _cells(row, columns)) for row in rows],
        "columns": columns,
        "offered": [(each, each in columns) for each in offered_columns(names, heads, columns)],
        "kept": others,
        "usual_query": urlencode([*others, ("columns", "")]),
        "query": request.GET.urlencode(),
        "filtered": is_filtered(request.GET, ModelMenus.base_filters),
    }
    return render_page(request, TEMPLATE, context)


@login_required
@require_safe
def model_names(request: HttpRequest) -> HttpResponse:
    """Names that complete the search line, as a list to choose from."""
    return options(request, complete(request.GET.get("q", "")[:LONGEST], MODELS, known_names))


@login_required
@require_safe
def export(request: HttpRequest) -> HttpResponseBase:
    """The same models as the page, all of them, with the same columns, as CSV."""
    found = model_list(request.GET)
    if found.is_wrong:
        return found.refused()
    columns = chosen_columns(request, REMEMBERED)
    if not columns:
        columns = _usual(_metric_names(model_rows(_page(found, request).rows)))
    return csv_response(
        "models",
        (*CSV_COLUMNS, *(column.heading for column in columns)),
        (
            _csv_row(request, row, columns)
            for chunk in found.listing.every()
            for row in model_rows(chunk)
        ),
    )


def model_list(query: QueryDict) -> Found:
    """Read search line, menus and order from the URL."""
    base = RegisteredModel.objects.order_by()
    full = with_versions(RegisteredModel.objects.all())
    menus = ModelMenus(query, queryset=base)
    errors = tuple(message for found in menus.errors.values() for message in map(str, found))
    order = Order.parse(query.get("sort") or MODEL_ORDERS.default, MODEL_ORDERS)
    line = query.get("q", "")
    try:
        listing = ModelListing(base if errors else menus.qs, parse(line, MODELS), order, full)
        _ = listing.models
    except SearchError as error:
        nothing = ModelListing(base.none(), (), order, full)
        return Found(nothing, Problem.of(line, error), errors)
    return Found(listing, None, errors)


def _page(found: Found, request: HttpRequest) -> KeysetPage:
    if found.is_wrong:
        return KeysetPage([], None, None)
    return ordered_page(found.listing.sections(), request, size=MODELS_A_PAGE)


def _metric_names(rows: Sequence[ModelRow]) -> list[str]:
    return metrics.in_order(
        name for row in rows if row.head for name in metrics.numbers(row.head.metrics)
    )


def _usual(names: Sequence[str]) -> tuple[Column, ...]:
    return tuple(default_columns(names)[:METRICS_SHOWN])


def _cells(row: ModelRow, columns: Sequence[Column]) -> list[Cell]:
    if row.head is None:
        return [Cell(column) for column in columns]
    values = metrics.numbers(row.head.metrics)
    return [column.cell(row.head, values) for column in columns]


CSV_COLUMNS = (
    "model",
    "experiment",
    *ALIASED_STAGES,
    "versions",
    "newest version",
    "metrics of version",
    "aliases",
    "open promotions",
    "open findings",
    "drift",
    "deleted in mlflow",
    "updated at",
    "address",
)


def _csv_row(request: HttpRequest, row: ModelRow, columns: Sequence[Column]) -> list[object]:
    """The model under CSV_COLUMNS and `columns`."""
    model = row.model
    updated = model.updated_in_mlflow
    places = (row.places.get(stage, []) for stage in ALIASED_STAGES)
    return [
        model.name,
        model.experiment.experiment_id if model.experiment else "",
        *(" ".join(str(entry.model_version) for entry in entries) for entries in places),
        row.versions,
        row.newest,
        row.head.version if row.head else "",
        " ".join(f"{alias}={version}" for alias, version in sorted(model.aliases.items())),
        len(row.promotions),
        row.findings,
        "; ".join(map(str, row.drift)),
        "yes" if model.deleted_in_mlflow else "no",
        updated.isoformat() if updated else "",
        request.build_absolute_uri(model.get_absolute_url()),
        *(cell.text if cell.value is None else cell.value for cell in _cells(row, columns)),
    ]
