"""Findings: the list, one of them, and living with it for a while."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, cast

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from e2i_site.audit import queries, registry, remedies
from e2i_site.audit.actions.remedy import apply_remedy
from e2i_site.audit.actions.waive import revoke_waiver
from e2i_site.audit.actions.waive import waive as grant_waiver
from e2i_site.audit.filters import FindingFilter, understood
from e2i_site.audit.forms import RevokeForm, WaiveForm
from e2i_site.audit.models import Finding
from e2i_site.audit.policies import may_remedy, may_revoke, may_start, may_waive
from e2i_site.core.errors import InvalidInput
from e2i_site.core.http import csv_response, errors_on, go_to
from e2i_site.core.partials import render_page

if TYPE_CHECKING:
    from django.contrib.auth.models import User
    from django.db.models import QuerySet

PAGE = 50
COLUMNS = (
    "priority",
    "check",
    "title",
    "subject",
    "message",
    "status",
    "first_seen",
    "opened_at",
    "last_seen",
    "occurrences",
    "regressions",
    "remediation",
)


def _filtered(request: HttpRequest) -> tuple[FindingFilter, QuerySet[Finding]]:
    """Open findings unless the URL asks for others; none for a filter that is not understood."""
    asked = request.GET.copy()
    if "status" not in asked:
        asked["status"] = "open"
    found = FindingFilter(asked, queryset=Finding.objects.order_by("priority", "opened_at"))
    return found, understood(found)


@require_GET
def findings(request: HttpRequest) -> HttpResponse:
    """Findings by priority and age; the URL holds the filter."""
    found, rows = _filtered(request)
    page = Paginator(rows, PAGE).get_page(request.GET.get("page"))
    context = {
        "form": found.form,
        "page": page,
        "now": timezone.now(),
        "export_query": request.GET.urlencode(),
        "narrowed": bool(request.GET),
    }
    return render_page(request, "audit/findings.html", context)


@require_GET
def export(request: HttpRequest) -> StreamingHttpResponse:
    """The present filter as CSV."""
    found, rows = _filtered(request)
    if not found.is_valid():
        raise InvalidInput("A filter is not understood.")
    return csv_response("findings", COLUMNS, _csv_rows(rows))


def _csv_rows(rows: QuerySet[Finding]) -> Iterator[list[Any]]:
    now = timezone.now()
    for each in rows.iterator(500):
        yield [
            each.priority,
            each.check_id,
            each.title,
            each.subject_label,
            each.message,
            each.status_at(now).value,
            each.first_seen.isoformat(),
            each.opened_at.isoformat(),
            each.last_seen.isoformat(),
            each.occurrences,
            each.regressions,
            each.remediation,
        ]


@require_GET
def finding(request: HttpRequest, pk: int) -> HttpResponse:
    """What is wrong, since when, what to do, and who lives with it."""
    now = timezone.now()
    found = get_object_or_404(Finding.objects.select_related("first_run", "last_run"), pk=pk)
    context = {
        "finding": found,
        "status": found.status_at(now),
        "check": registry.find(found.check_id),
        "waivers": found.waivers.select_related("owner", "granted_by"),
        "occurrences": queries.occurrences(found),
        "remedy": remedies.find(found.check_id),
        "may_remedy": may_remedy(request.user, found, now),
        "may_start": may_start(request.user, None),
        "may_waive": may_waive(request.user, found, now),
        "may_revoke": may_revoke(request.user, found, now),
    }
    return render(request, "audit/finding.html", context)


@require_POST
def remedy(request: HttpRequest, pk: int) -> HttpResponse:
    """Start the remedy that the finding's check offers."""
    found = get_object_or_404(Finding, pk=pk)
    done = apply_remedy(finding=found, actor=cast("User", request.user))
    messages.success(request, f"Started: {done.label}. Check again when it has ended.")
    return go_to(request, found)


@require_http_methods(["GET", "HEAD", "POST"])
def waive(request: HttpRequest, pk: int) -> HttpResponse:
    """A form, then the waiver."""
    found = get_object_or_404(Finding, pk=pk)
    user = cast("User", request.user)
    form = WaiveForm(request.POST or None, finding=found, initial={"owner": user.pk})
    if request.method == "POST" and form.is_valid():
        with errors_on(form):
            grant_waiver(
                finding=found,
                actor=user,
                owner=form.cleaned_data["owner"],
                reason=form.cleaned_data["reason"],
                expires_at=form.expires_at,
            )
        if not form.errors:
            messages.success(request, "Waived; it is on record.")
            return go_to(request, found)
    context = {
        "title": "Waive a finding",
        "question": f"{found}: {found.message}",
        "consequences": [
            "The finding stays on record and in every report, marked as waived.",
            "It no longer counts as open: it fails no command and blocks no promotion.",
            "When the day comes, or it becomes more urgent, it is open again by itself.",
        ],
        "form": form,
        "submit_label": "Waive",
        "decision": may_waive(user, found, timezone.now()),
        "finding": found,
        "back": found.get_absolute_url(),
    }
    return render(request, "audit/waive.html", context, status=400 if form.errors else 200)


@require_http_methods(["GET", "HEAD", "POST"])
def revoke(request: HttpRequest, pk: int) -> HttpResponse:
    """A form, then the end of the waiver."""
    found = get_object_or_404(Finding, pk=pk)
    user = cast("User", request.user)
    form = RevokeForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        with errors_on(form):
            revoke_waiver(finding=found, actor=user, reason=form.cleaned_data["reason"])
        if not form.errors:
            messages.success(request, "The waiver is revoked; the finding is open.")
            return go_to(request, found)
    context = {
        "title": "Revoke a waiver",
        "question": f"{found}: {found.message}",
        "consequences": ["The finding counts as open at once."],
        "form": form,
        "submit_label": "Revoke the waiver",
        "decision": may_revoke(user, found, timezone.now()),
        "tone": "danger",
        "finding": found,
        "back": found.get_absolute_url(),
    }
    return render(request, "audit/waive.html", context, status=400 if form.errors else 200)
