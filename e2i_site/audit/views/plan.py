"""The audit's first page: the plan with live outcomes, what is open, and the trend."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST
from django_htmx.http import HttpResponseClientRefresh

from e2i_site.audit import queries, report, state
from e2i_site.audit.actions.start_audit import start_audit
from e2i_site.audit.policies import may_start
from e2i_site.core.errors import InvalidInput
from e2i_site.core.http import go_to, number_in

if TYPE_CHECKING:
    from django.contrib.auth.models import User


@require_GET
def home(request: HttpRequest) -> HttpResponse:
    """Phases and items with their outcomes, the most urgent findings, the trend."""
    now = timezone.now()
    runs = queries.recent_runs()
    running = queries.going_on(runs, now)
    phases = state.latest()
    standing = queries.standing(now)
    context = {
        "phases": phases,
        "verdict": report.verdict(phases, standing.counts),
        "is_clean": report.is_clean(phases, standing.counts),
        "standing": standing,
        "runs": runs[:6],
        "running": running,
        "trend": queries.trend(runs),
        "may_start": may_start(request.user, running),
    }
    return render(request, "audit/plan.html", context)


@require_GET
def progress(request: HttpRequest) -> HttpResponse:
    """The state of the audit that goes on; when it ended, the page is read again."""
    running = queries.going_on(queries.recent_runs(5), timezone.now())
    if running is None:
        return HttpResponseClientRefresh()
    context = {"running": running, "done": running.results.count()}
    return render(request, "audit/plan.html#progress", context)


@require_POST
def start(request: HttpRequest) -> HttpResponse:
    """Start an audit of everything, of `phase` or of `check`."""
    asked = request.POST.get("phase", "")
    phase = number_in(asked)
    if asked and phase is None:
        raise InvalidInput(f"{asked[:20]!r} is no phase of the plan.")
    run = start_audit(
        actor=cast("User", request.user),
        phase=phase,
        check_id=request.POST.get("check") or None,
    )
    messages.success(request, f"{run} has started: {run.scope}.")
    return go_to(request, run)
