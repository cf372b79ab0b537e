"""Background work: the list, and one job with its progress."""

from __future__ import annotations

from typing import cast

from django.contrib import messages
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from e2i_site.core.http import go_to
from e2i_site.core.paging import keyset_page
from e2i_site.core.partials import render_page
from e2i_site.jobs.actions.cancel import cancel as cancel_job
from e2i_site.jobs.filters import JobFilter
from e2i_site.jobs.models import Job
from e2i_site.jobs.policies import may_cancel

ROWS = 50
_LONG = ("payload", "log", "result")


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """Jobs that fit the filter, newest first; reloads itself while one is unfinished."""
    found = JobFilter(request.GET, Job.objects.select_related("actor").defer(*_LONG))
    page = keyset_page(found.qs if found.is_valid() else found.queryset.none(), request, size=ROWS)
    context = {
        "filter": found,
        "page": page,
        "live": any(not job.is_finished for job in page),
        "narrowed": any(request.GET.get(name) for name in found.filters),
    }
    return render_page(request, "jobs/home.html", context)


@require_safe
def job(request: HttpRequest, pk: int) -> HttpResponse:
    """One job: phase, progress, log, result; asks again every 2 s until it has ended."""
    found = get_object_or_404(Job.objects.select_related("actor"), pk=pk)
    ended = found.finished_at or timezone.now()
    context = {
        "job": found,
        "elapsed": ended - found.started_at if found.started_at else None,
        "cancel": may_cancel(cast(User, request.user), found),
        "payload": sorted(found.payload.items()),
        "result": sorted(found.result.items()),
    }
    return render_page(request, "jobs/job.html", context, partials=("progress",))


@require_POST
def cancel(request: HttpRequest, pk: int) -> HttpResponse:
    """Ask the job to stop."""
    found = cancel_job(job=get_object_or_404(Job, pk=pk), actor=cast(User, request.user))
    stopped = found.is_finished
    messages.success(
        request, f"{found} was cancelled." if stopped else f"{found} is asked to stop."
    )
    return go_to(request, "jobs:job", pk=pk)
