"""Who did what when: the list, one entry, and the verification of the chain."""

from __future__ import annotations

from collections.abc import Iterator

from django.apps import apps
from django.core.cache import cache
from django.core.exceptions import ObjectDoesNotExist, ValidationError
from django.db import models
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404
from django.utils import timezone
from django.views.decorators.http import require_safe

from e2i_site.core.http import csv_response
from e2i_site.core.paging import keyset_page
from e2i_site.core.partials import render_page
from e2i_site.trail import chain, events
from e2i_site.trail.filters import TrailFilter
from e2i_site.trail.models import TrailEntry, TrailHead
from e2i_site.trail.record import verify

ROWS = 50
# Entries of one request follow each other closely.
NEAR = 200
VERIFY_CACHE_SECONDS = 60


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """Entries that fit the filter, newest first."""
    found = TrailFilter(request.GET, TrailEntry.objects.order_by("-id"))
    # A filter that is not understood shows nothing rather than everything.
    page = keyset_page(found.qs if found.is_valid() else found.queryset.none(), request, size=ROWS)
    context = {
        "filter": found,
        "page": page,
        "rows": [(entry, events.label(entry.event)) for entry in page],
        "head": TrailHead.objects.filter(pk=1).first(),
        "bad": chain.changed(page.rows),
        "narrowed": any(request.GET.get(name) for name in found.filters),
    }
    return render_page(request, "trail/home.html", context)


@require_safe
def export(request: HttpRequest) -> HttpResponseBase:
    """The same entries as the list shows, all of them, as CSV."""
    found = TrailFilter(request.GET, TrailEntry.objects.order_by("-id"))
    if not found.is_valid():
        return HttpResponse("A filter is not understood.", status=400, content_type="text/plain")

    def rows() -> Iterator[list[object]]:
        for entry in found.qs.iterator(chunk_size=1000):
            yield [getattr(entry, name) for name in _COLUMNS]

    return csv_response("trail", _COLUMNS, rows())


_COLUMNS = (
    "id",
    "at",
    "event",
    "actor_name",
    "source",
    "subject_type",
    "subject_id",
    "subject_label",
    "scope",
    "reason",
    "changes",
    "request_id",
    "previous_hash",
    "hash",
)


@require_safe
def entry(request: HttpRequest, pk: int) -> HttpResponse:
    """One entry: old and new values, what else the same request did, its place in the chain."""
    found = get_object_or_404(TrailEntry, pk=pk)
    same = TrailEntry.objects.filter(
        request_id=found.request_id, pk__range=(pk - NEAR, pk + NEAR)
    ).exclude(pk=pk)
    context = {
        "entry": found,
        "label": events.label(found.event),
        "changes": chain.changes(found),
        "links": chain.links(found),
        "same": [(other, events.label(other.event)) for other in same.order_by("pk")],
        "subject_url": _subject_url(found),
    }
    return render_page(request, "trail/entry.html", context, partials=())


@require_safe
def verification(request: HttpRequest) -> HttpResponse:
    """Verify the whole chain now; the answer is kept for a minute."""
    kept = cache.get("trail.verification")
    if kept is None:
        started = timezone.now()
        kept = (verify(), started, timezone.now() - started)
        cache.set("trail.verification", kept, VERIFY_CACHE_SECONDS)
    result, at, took = kept
    context = {"result": result, "at": at, "took": took}
    return render_page(request, "trail/verification.html", context, partials=())


def _subject_url(found: TrailEntry) -> str:
    """The page of what the entry speaks of; empty when it has none, or is gone."""
    try:
        model: type[models.Model] = apps.get_model(found.subject_type)
    except (LookupError, ValueError):
        return ""
    if not hasattr(model, "get_absolute_url"):
        return ""
    try:
        subject = model._default_manager.get(pk=found.subject_id)
    except (ObjectDoesNotExist, ValidationError, ValueError):
        return ""
    return str(subject.get_absolute_url())
