"""The queue of promotions, by whose turn it is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.views.decorators.http import require_safe

from e2i_site.core.http import csv_response
from e2i_site.core.paging import Section, ordered_page
from e2i_site.core.partials import render_page
from registry import queries
from registry.choices import UNDECIDED
from registry.filters import TOKENS, search_promotions
from registry.gates.base import title
from registry.gates.evaluate import worst
from registry.headline import Headline, headline
from registry.models import Promotion
from registry.policies import gates_not_passed
from registry.queries import TABS, Queue
from registry.views.gates import GateView, Mark, gate_views, marks

if TYPE_CHECKING:
    from django.contrib.auth.models import User

TEMPLATE = "registry/promotions.html"
ROWS_A_PAGE = 25


@dataclass(frozen=True)
class Tab:
    """A tab as a link that keeps the search."""

    key: str
    count: int
    line: str
    current: bool

    @property
    def label(self) -> str:
        return TABS[self.key]

    @property
    def href(self) -> str:
        return "?" + urlencode({"tab": self.key, **({"q": self.line} if self.line else {})})


@dataclass(frozen=True)
class Row:
    """A promotion in a list; its gates must be prefetched."""

    promotion: Promotion

    @property
    def marks(self) -> list[Mark]:
        return marks(self.promotion)

    @property
    def blocking(self) -> str:
        """Why an undecided one cannot go on: its worst gate in words."""
        if self.promotion.state not in UNDECIDED:
            return ""
        blocking = gates_not_passed(self.promotion.gates.all())
        if not blocking:
            return ""
        gates = sorted(blocking, key=lambda gate: -gate.badness)
        return f"{title(gates[0].gate_id)}: {gates[0].summary}"


@dataclass(frozen=True)
class Preview:
    """One promotion at a glance, beside the list; 3 queries."""

    promotion: Promotion
    gates: list[GateView]
    headline: Headline


@login_required
@require_safe
def promotions(request: HttpRequest) -> HttpResponse:
    """Promotions that fit the search, in the tab of the URL."""
    htmx = getattr(request, "htmx", None)
    if htmx and htmx.target == "news":
        return _news(request)
    preview = _preview(request)
    if htmx and htmx.target == "preview":
        context: dict[str, Any] = {"preview": preview}
        return render_page(request, TEMPLATE, context, partials=("preview",))
    queue, line, errors = _queue(request)
    tab = _tab(request, queue, line)
    waits = tab in queries.WAITING_TABS
    section = Section(queries.with_marks(queue.rows(tab)), descending=not waits)
    first = "Oldest" if waits else "Newest"
    page = ordered_page([section], request, size=ROWS_A_PAGE, first=first)
    context = {
        "tabs": [Tab(key, queue.counts[key], line, key == tab) for key in TABS],
        "tab": tab,
        "asked_tab": request.GET.get("tab", ""),
        "q": line,
        "errors": errors,
        "page": page,
        "rows": [Row(promotion) for promotion in page.rows],
        "export_query": urlencode({"tab": tab, "q": line}),
        "tokens": TOKENS,
        "news_query": _news_query(request, str(queue.newest)),
        "preview": preview,
        "here": urlencode({"tab": tab, "q": line}),
    }
    return render_page(request, TEMPLATE, context)


@login_required
@require_safe
def export(request: HttpRequest) -> HttpResponseBase:
    """The same rows as the page, all of them, as CSV."""
    queue, line, errors = _queue(request)
    if errors:
        return HttpResponse(" ".join(errors), status=400, content_type="text/plain")
    rows = queries.with_marks(queue.rows(_tab(request, queue, line)))
    return csv_response("promotions", COLUMNS, (_cells(request, row) for row in _chunks(rows)))


COLUMNS = (
    "promotion",
    "model",
    "version",
    "from",
    "to",
    "state",
    "risk",
    "requester",
    "reason",
    "policy",
    "gates passed",
    "gates",
    "worst gate",
    "requested at",
    "decided at",
    "address",
)


def _chunks(rows: Iterable[Promotion]) -> Iterable[Promotion]:
    return rows.iterator(chunk_size=500)  # type: ignore[attr-defined,no-any-return]


def _cells(request: HttpRequest, row: Promotion) -> list[object]:
    gates = list(row.gates.all())
    passed = sum(gate.badness == 0 for gate in gates)
    return [
        row.pk,
        row.entry.model_id,
        row.entry.model_version,
        row.from_stage,
        row.to_stage,
        row.get_state_display(),
        row.risk,
        row.requester.get_username(),
        row.reason,
        str(row.policy),
        passed,
        len(gates),
        worst(gates).value if gates else "",
        row.created_at.isoformat(),
        row.decided_at.isoformat() if row.decided_at else "",
        request.build_absolute_uri(row.get_absolute_url()),
    ]


def _news(request: HttpRequest) -> HttpResponse:
    """How many requests came in since the page was made; its rows do not jump."""
    seen = request.GET.get("seen", "")
    seen = seen if seen.isdecimal() and len(seen) < 19 else "0"
    fitting, _ = search_promotions(_line(request), Promotion.objects.filter(pk__gt=int(seen)))
    context = {
        "news": fitting.count(),
        "news_query": _news_query(request, seen),
    }
    return render_page(request, TEMPLATE, context, partials=("news",))


def _preview(request: HttpRequest) -> Preview | None:
    """What ?preview= names; None for an unknown one."""
    key = request.GET.get("preview", "")
    if not (key.isascii() and key.isdecimal() and len(key) < 19):
        return None
    found = Promotion.objects.with_people().select_related("champion").filter(pk=int(key)).first()
    if found is None:
        return None
    gates = gate_views(found)
    reviews = found.reviews.select_related("reviewer")
    return Preview(found, gates, headline(found, [view.result for view in gates], reviews))


def _news_query(request: HttpRequest, seen: str) -> str:
    tab = request.GET.get("tab", "")
    return urlencode({"tab": tab if tab in TABS else "", "q": _line(request), "seen": seen})


def _line(request: HttpRequest) -> str:
    return request.GET.get("q", "").strip()[:500]


def _queue(request: HttpRequest) -> tuple[Queue, str, tuple[str, ...]]:
    line = _line(request)
    fitting, errors = search_promotions(line, Promotion.objects.all())
    user: User = request.user  # type: ignore[assignment]
    return queries.queue(user, fitting), line, errors


def _tab(request: HttpRequest, queue: Queue, line: str) -> str:
    """The tab asked for; else everything that fits a search, else where something waits."""
    asked = request.GET.get("tab", "")
    if asked in TABS:
        return asked
    return "all" if line or not queue.counts["needs-me"] else "needs-me"
