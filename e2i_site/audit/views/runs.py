"""Audit runs and reports."""

from __future__ import annotations

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET
from django_htmx.http import HttpResponseClientRefresh

from e2i_site.audit import queries
from e2i_site.audit import report as reports
from e2i_site.audit.filters import AuditRunFilter, OutcomeFilter, understood
from e2i_site.audit.models import AuditRun, SubjectResult
from e2i_site.audit.policies import may_start
from e2i_site.core.decision import Decision
from e2i_site.core.errors import ConfigurationError, InvalidInput
from e2i_site.core.http import number_in
from e2i_site.core.paging import keyset_page
from e2i_site.core.partials import render_page

PAGE = 100


@require_GET
def runs(request: HttpRequest) -> HttpResponse:
    """All audit runs, newest first."""
    found = AuditRunFilter(request.GET, AuditRun.objects.select_related("started_by", "job"))
    page = keyset_page(understood(found), request)
    running = queries.going_on(page.rows, timezone.now())
    context = {
        "form": found.form,
        "page": page,
        "may_start": may_start(request.user, running),
        "narrowed": bool(request.GET),
    }
    return render_page(request, "audit/runs.html", context)


@require_GET
def run(request: HttpRequest, pk: int) -> HttpResponse:
    """Every check and every outcome of one run."""
    found = get_object_or_404(AuditRun.objects.select_related("started_by", "job"), pk=pk)
    results = queries.results_of(found)
    outcomes = OutcomeFilter(
        request.GET,
        SubjectResult.objects.filter(result__run=found).select_related("result"),
    )
    context = {
        "run": found,
        "results": results,
        "done": len(results),
        "is_silent": found.is_silent(timezone.now()),
        "form": outcomes.form,
        "page": Paginator(understood(outcomes), PAGE).get_page(request.GET.get("page")),
        "narrowed": bool(request.GET),
    }
    return render_page(request, "audit/run.html", context)


@require_GET
def run_progress(request: HttpRequest, pk: int) -> HttpResponse:
    """How far a run is; when it ended, the page is read again."""
    found = get_object_or_404(AuditRun.objects.select_related("job"), pk=pk)
    if found.is_finished or found.is_silent(timezone.now()):
        return HttpResponseClientRefresh()
    context = {"run": found, "done": found.results.count()}
    return render(request, "audit/run.html#progress", context)


@require_GET
def report(request: HttpRequest) -> HttpResponse:
    """The report in the form of the plan, on screen."""
    found = _run_of(request)
    context = {"report": reports.build(found), "run": found, "files": _files(found)}
    return render(request, "audit/report.html", context)


@require_GET
def report_download(request: HttpRequest, format: str) -> HttpResponse:
    """The report as a file; a format that cannot be made here is refused with the reason."""
    found = _run_of(request)
    built = reports.build(found)
    try:
        content = reports.render(built, format)
    except ConfigurationError as error:
        raise InvalidInput(str(error)) from None
    response = HttpResponse(content, content_type=reports.FORMATS[format][0])
    stamp = built.made_at.strftime("%Y-%m-%d")
    name = f"audit-report-{f'run-{found.pk}-' if found else ''}{stamp}.{format}"
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def _files(run: AuditRun | None) -> list[tuple[str, str, Decision]]:
    """(name, address, whether it can be made) of each format."""
    query = f"?run={run.pk}" if run else ""
    return [
        (
            name.upper(),
            reverse("audit:report_download", args=[name]) + query,
            reports.can_make(name),
        )
        for name in reports.FORMATS
    ]


def _run_of(request: HttpRequest) -> AuditRun | None:
    """The run that `?run=` names; None for the latest results."""
    number = request.GET.get("run", "")
    if not number:
        return None
    if (pk := number_in(number)) is None:
        raise InvalidInput(f"{number[:20]!r} is no number of an audit run.")
    return get_object_or_404(AuditRun, pk=pk)
