"""What others changed in MLflow: the list, and the same as CSV."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from django.apps import apps
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe

from e2i_site.activity.choices import SubjectKind
from e2i_site.activity.filters import EventFilter
from e2i_site.activity.models import MlflowEvent
from e2i_site.core.http import csv_response
from e2i_site.core.paging import keyset_page
from e2i_site.core.partials import render_page

ROWS = 50
FEW = 6
_COLUMNS = (
    "id",
    "noticed_at",
    "happened_at",
    "kind",
    "subject_kind",
    "subject_id",
    "label",
    "key",
    "before",
    "after",
    "user",
    "source",
)
_WORDS = {"before": "before_words", "after": "after_words"}


@dataclass(frozen=True)
class Row:
    """An event and the page of what it is about; empty where there is none."""

    event: MlflowEvent
    href: str


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """Events that fit the filter, newest first."""
    found = EventFilter(request.GET, MlflowEvent.objects.order_by("-id"))
    # A filter that is not understood shows nothing rather than everything.
    page = keyset_page(found.qs if found.is_valid() else found.queryset.none(), request, size=ROWS)
    context = {
        "filter": found,
        "page": page,
        "rows": rows(page.rows),
        "narrowed": any(request.GET.get(name) for name in found.filters),
    }
    return render_page(request, "activity/home.html", context)


@require_safe
def recent(request: HttpRequest) -> HttpResponse:
    """The last few events of a filter, for a card of another page."""
    found = EventFilter(request.GET, MlflowEvent.objects.order_by("-id"))
    events = found.qs[:FEW] if found.is_valid() else ()
    context = {
        "events": events,
        "href": f"{reverse('activity:home')}?{request.GET.urlencode()}",
        "show_label": True,
    }
    return render(request, "activity/_list.html", context)


@require_safe
def export(request: HttpRequest) -> HttpResponseBase:
    """The same events as the list shows, all of them, as CSV."""
    found = EventFilter(request.GET, MlflowEvent.objects.order_by("-id"))
    if not found.is_valid():
        return HttpResponse("A filter is not understood.", status=400, content_type="text/plain")

    def lines() -> Iterator[list[object]]:
        for event in found.qs.iterator(chunk_size=1000):
            yield [getattr(event, _WORDS.get(name, name)) for name in _COLUMNS]

    return csv_response("activity", _COLUMNS, lines())


def rows(events: Iterable[MlflowEvent]) -> list[Row]:
    """Events with the pages of their subjects; one query, for runs."""
    listed = list(events)
    runs = {each.subject_id for each in listed if each.subject_kind == SubjectKind.RUN}
    # Runs are rows of a room above this one.
    model = apps.get_model("training", "TrainingRun")
    known = model._default_manager.filter(mlflow_run_id__in=runs) if runs else None
    pairs = known.values_list("mlflow_run_id", "pk") if known is not None else ()
    keys = {str(run_id): pk for run_id, pk in pairs}
    return [Row(event, _href(event, keys)) for event in listed]


def _href(event: MlflowEvent, runs: dict[str, int]) -> str:
    if event.subject_kind == SubjectKind.RUN and event.subject_id in runs:
        return reverse("training:run", args=[runs[event.subject_id]])
    if event.subject_kind == SubjectKind.MODEL:
        return reverse("registry:model", args=[event.model_name])
    if event.subject_kind == SubjectKind.VERSION:
        number = event.subject_id.rpartition("/")[2]
        return reverse("registry:version", args=[event.model_name, int(number)])
    return ""
