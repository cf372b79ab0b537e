"""What serves where, the gateways, and deployments of all times."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseBase, QueryDict
from django.views.decorators.http import require_safe

from deployments import queries
from deployments.choices import DeploymentStatus, Strategy
from deployments.filters import DeploymentFilter
from deployments.models import Deployment
from e2i_site.core.http import csv_response
from e2i_site.core.paging import keyset_page
from e2i_site.core.partials import render_page

ROWS_A_PAGE = 25


class SearchForm(forms.Form):
    """The filters that people use; the API knows more."""

    text = forms.CharField(
        label="Model or endpoint",
        required=False,
        max_length=200,
        widget=forms.TextInput(attrs={"type": "search", "autocomplete": "off"}),
    )
    status = forms.ChoiceField(
        choices=[("", "Any status"), *DeploymentStatus.choices], required=False
    )
    strategy = forms.ChoiceField(choices=[("", "Any strategy"), *Strategy.choices], required=False)


@login_required
@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """The board of live deployments, the gateways, and the list of all deployments."""
    target = request.htmx.target if request.htmx else ""  # type: ignore[attr-defined]
    context: dict[str, Any] = {}
    if target != "results":
        context |= _live()
    if target != "board":
        context |= _list(request)
    return render_page(request, "deployments/home.html", context, partials=("board", "results"))


def _live() -> dict[str, Any]:
    rows = queries.board()
    instances = queries.gateway_instances()
    return {
        "board": rows,
        "instances": instances,
        "answering": sum(each.answers for each in instances),
        "minutes": int(queries.RECENT.total_seconds() // 60),
    }


def _list(request: HttpRequest) -> dict[str, Any]:
    filters = _filters(request.GET)
    page = keyset_page(filters.qs, request, size=ROWS_A_PAGE)
    return {
        "form": SearchForm(request.GET),
        "page": page,
        "errors": [str(error) for found in filters.errors.values() for error in found],
        "query": request.GET.urlencode(),
        "filtered": any(request.GET.get(name) for name in DeploymentFilter.base_filters),
    }


def _filters(query: QueryDict) -> DeploymentFilter:
    return DeploymentFilter(query, queryset=queries.deployments_for_list())


COLUMNS = (
    "deployment",
    "name",
    "model",
    "version",
    "environment",
    "endpoint",
    "strategy",
    "status",
    "digest",
    "deployed by",
    "created at",
    "deployed at",
    "ended at",
    "requests",
    "error rate",
    "p50 ms",
    "p95 ms",
    "p99 ms",
    "rollback reason",
    "address",
)


@login_required
@require_safe
def export(request: HttpRequest) -> HttpResponseBase:
    """The same deployments as the list, all of them, as CSV."""
    filters = _filters(request.GET)
    if filters.errors:
        return HttpResponse(str(filters.errors), status=400, content_type="text/plain")
    rows = (_cells(request, row) for row in filters.qs.iterator(chunk_size=500))
    return csv_response("deployments", COLUMNS, rows)


def _cells(request: HttpRequest, row: Deployment) -> list[object]:
    return [
        row.pk,
        row.deployment_name,
        row.entry.model_id,
        row.entry.model_version,
        row.environment,
        row.endpoint_name,
        row.get_strategy_display(),
        row.get_status_display(),
        row.artifact_digest,
        row.deployed_by.get_username() if row.deployed_by else "",
        *(
            moment.isoformat() if moment else ""
            for moment in (row.created_at, row.deployed_at, row.deactivated_at)
        ),
        row.request_count,
        row.error_rate,
        row.latency_p50_ms,
        row.latency_p95_ms,
        row.latency_p99_ms,
        row.rollback_reason,
        request.build_absolute_uri(row.get_absolute_url()),
    ]
