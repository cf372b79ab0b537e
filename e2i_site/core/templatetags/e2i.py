"""The components of the pages. docs/design.md shows each with an example."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any
from zlib import crc32

from django import template
from django.core.paginator import Page
from django.http import HttpRequest
from django.template import Context
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

from e2i_site.core import plots
from e2i_site.core.charts import LineChart
from e2i_site.core.decision import ALLOWED, Decision
from e2i_site.core.formats import duration, figure, relative
from e2i_site.core.places import places
from e2i_site.core.statuses import look

register = template.Library()
ICONS = Path(__file__).resolve().parents[2] / "static/e2i_site/vendor/icons"
STAGES = ("development", "staging", "shadow", "production")
register.filter(duration)
register.filter(figure)
DASH = format_html('<span class="e-missing" title="Not measured">{}</span>', "–")


@lru_cache(maxsize=256)
def _icon_paths(name: str) -> str:
    """What lies inside the vendored SVG; FileNotFoundError names an icon that is not vendored."""
    source = (ICONS / f"{name}.svg").read_text(encoding="utf-8")
    inside = source[source.index(">") + 1 : source.rindex("</svg>")]
    lines = (line.strip() for line in inside.splitlines())
    return "".join(line for line in lines if "M0 0h24v24H0z" not in line)


@register.simple_tag
def icon(name: str, label: str = "", css: str = "") -> SafeString:
    """A vendored icon inline; silent to screen readers unless it has a `label`."""
    words = (
        format_html('role="img" aria-label="{}"', label)
        if label
        else mark_safe('aria-hidden="true"')
    )
    return format_html(
        '<svg class="icon {}" {} viewBox="0 0 24 24" width="18" height="18" fill="none" '
        'stroke="currentColor" stroke-width="2" stroke-linecap="round" stroke-linejoin="round">'
        "{}</svg>",
        css,
        words,
        mark_safe(_icon_paths(name)),  # noqa: S308  our own files
    )


# --- statuses ---------------------------------------------------------------------------------


@register.simple_tag
def badge(value: Any, kind: str = "", label: str = "") -> SafeString:
    """A status as icon and words. `kind` (finding, window, breaker) settles double meanings."""
    if value in (None, ""):
        return DASH
    seen = look(value, kind=kind, label=label)
    turning = "spin" if seen.icon == "loader-2" else ""
    return format_html(
        '<span class="e-badge" data-tone="{}">{}{}</span>',
        seen.tone,
        icon(seen.icon, css=turning),
        seen.label,
    )


@register.simple_tag
def mark(value: Any, name: str = "", kind: str = "") -> SafeString:
    """A status as a small round mark, for rows of gates; its words are read out and on hover."""
    seen = look(value, kind=kind)
    words = f"{name}: {seen.label}" if name else seen.label
    return format_html(
        '<span class="e-mark" data-tone="{}" title="{}">{}</span>',
        seen.tone,
        words,
        icon(seen.icon, label=words),
    )


@register.inclusion_tag("components/stage_track.html")
def stage_track(stage: str, target: str = "") -> dict[str, Any]:
    """Where a version stands on its way; `target` marks the stage it is asked to move to."""
    at = STAGES.index(stage) if stage in STAGES else None
    stops = []
    for index, name in enumerate(STAGES):
        state = "later"
        if at is not None and index <= at:
            state = "now" if index == at else "past"
        if name == target:
            state = "target"
        stops.append({"name": name, "label": name.capitalize(), "state": state})
    return {"stops": stops, "off_track": "" if at is not None else stage, "target": target}


# --- values -----------------------------------------------------------------------------------


@register.simple_tag(name="time")
def time_tag(value: datetime | None, missing: str = "–") -> SafeString:
    """A moment, relative; the absolute time in UTC on hover and for machines."""
    if value is None:
        return format_html('<span class="e-missing">{}</span>', missing)
    utc = value.astimezone(UTC)
    return format_html(
        '<time datetime="{}" title="{}" data-relative>{}</time>',
        utc.isoformat(timespec="seconds"),
        utc.strftime("%Y-%m-%d %H:%M:%S UTC"),
        relative(value, timezone.now()),
    )


@register.simple_tag(name="hash")
def hash_tag(value: Any, length: int = 10, label: str = "") -> SafeString:
    """An id or digest, shortened, with the whole of it on hover and a copy button."""
    if value in (None, ""):
        return DASH
    whole = str(value)
    short = whole if len(whole) <= length + 2 else f"{whole[:length]}…"
    return format_html(
        '<span class="e-hash"><code title="{}">{}</code>'
        '<button type="button" class="e-copy needs-js" data-copy="{}" aria-label="Copy {}">{}'
        "</button></span>",
        whole,
        short,
        whole,
        label or short,
        icon("copy"),
    )


@register.simple_tag
def metric(
    value: float | None,
    *,
    places: int = 4,
    low: float | None = None,
    high: float | None = None,
    base: float | None = None,
    better: str = "higher",
    unit: str = "",
) -> SafeString:
    """A measured number with its interval and its difference from `base`.

    `better` ("higher", "lower", "") decides whether the difference is good; "" says neither.
    """
    if value is None:
        return DASH
    interval = delta = SafeString("")
    if low is not None and high is not None:
        interval = format_html(
            '<span class="ci" title="95 % confidence interval">{} – {}</span>',
            f"{low:.{places}f}",
            f"{high:.{places}f}",
        )
    if base is not None:
        delta = _delta(value - base, places, better)
    return format_html(
        '<span class="e-metric"><span class="value">{}{}</span>{}{}</span>',
        f"{value:,.{places}f}",
        f" {unit}" if unit else "",
        delta,
        interval,
    )


def _delta(difference: float, places: int, better: str) -> SafeString:
    shown = f"{difference:+.{places}f}".replace("-", "−")
    if round(difference, places) == 0:
        return format_html('<span class="delta" data-tone="quiet">{}</span>', "±0")
    up = difference > 0
    tone = "quiet" if not better else "good" if up == (better == "higher") else "bad"
    words = {"good": "better", "bad": "worse", "quiet": ""}[tone]
    return format_html(
        '<span class="delta" data-tone="{}">{}{}<span class="sr-only"> {}</span></span>',
        tone,
        icon("arrow-narrow-up" if up else "arrow-narrow-down"),
        shown,
        words,
    )


@register.inclusion_tag("components/kv.html")
def kv(pairs: Any, narrow: bool = False) -> dict[str, Any]:
    """A key-value list from a mapping or (name, value) pairs."""
    return {"pairs": pairs.items() if hasattr(pairs, "items") else pairs, "narrow": narrow}


# --- lists ------------------------------------------------------------------------------------


@register.simple_tag(takes_context=True)
def sort_header(
    context: Context, label: str, field: str, *, numeric: bool = False, param: str = "ordering"
) -> SafeString:
    """A `<th>` that sorts by `field`, keeping the rest of the query; a second click reverses."""
    request: HttpRequest = context["request"]
    present = request.GET.get(param, "")
    down = present == f"-{field}"
    sorted_by = present.removeprefix("-") == field
    query = request.GET.copy()
    for name in ("page", "before", "after"):
        query.pop(name, None)
    query[param] = f"-{field}" if present == field or (numeric and not sorted_by) else field
    arrow = icon("arrow-narrow-down" if down else "arrow-narrow-up") if sorted_by else ""
    state = f"{'descending' if down else 'ascending'}" if sorted_by else ""
    return format_html(
        '<th scope="col"{}{}><a href="?{}">{}{}</a></th>',
        mark_safe(' class="num"') if numeric else "",
        format_html(' aria-sort="{}"', state) if state else "",
        query.urlencode(),
        label,
        arrow,
    )


@register.inclusion_tag("components/pages.html", takes_context=True)
def pagination(context: Context, page: Any, noun: str = "") -> dict[str, Any]:
    """Links to the pages around `page` (a Django Page or a KeysetPage), keeping the query."""
    request: HttpRequest = context["request"]

    def link(**changes: Any) -> str:
        query = request.GET.copy()
        for name in ("page", "before", "after"):
            query.pop(name, None)
        for name, value in changes.items():
            query[name] = str(value)
        return f"?{query.urlencode()}"

    if isinstance(page, Page):
        return {
            "newer": link(page=page.previous_page_number()) if page.has_previous() else "",
            "older": link(page=page.next_page_number()) if page.has_next() else "",
            "range": f"{page.start_index()}–{page.end_index()} of {page.paginator.count:,}",
            "noun": noun,
        }
    return {
        "newer": link(after=page.newer) if page.newer is not None else "",
        "older": link(before=page.older) if page.older is not None else "",
        "first": link() if page.newer is not None else "",
        "noun": noun,
    }


@register.inclusion_tag("components/filters.html", takes_context=True)
def filter_form(context: Context, form: Any, target: str = "results") -> dict[str, Any]:
    """A GET form whose URL is the state; with htmx it changes `#target` as one types."""
    request: HttpRequest = context["request"]
    active = [n for n, v in request.GET.items() if v and n not in ("page", "before", "after")]
    return {"form": form, "target": target, "path": request.path, "active": active}


@register.inclusion_tag("components/empty.html", takes_context=True)
def empty(
    context: Context, title: str, text: str = "", href: str = "", action: str = "", icon: str = ""
) -> dict[str, Any]:
    """Nothing is here yet, and what to do next."""
    return {
        "title": title,
        "text": text,
        "href": href,
        "action": action,
        "icon_name": icon or "inbox",
    }


@register.inclusion_tag("components/empty.html", takes_context=True)
def no_match(context: Context, noun: str = "rows") -> dict[str, Any]:
    """There are some, but the filters hide all of them."""
    return {
        "title": f"No {noun} match these filters",
        "text": "Change a filter, or clear them all.",
        "href": context["request"].path,
        "action": "Clear filters",
        "icon_name": "filter-off",
    }


# --- the frame of the pages -------------------------------------------------------------------


@register.simple_tag(takes_context=True)
def navigation_items(context: Context) -> list[dict[str, Any]]:
    """The places of the site that the person may go to; the one they are at is current."""
    return places(context.get("request"))


@register.inclusion_tag("components/nav.html", takes_context=True)
def navigation(context: Context) -> dict[str, Any]:
    """The main navigation as a list of links."""
    return {"items": places(context.get("request"))}


@register.filter
def message_tone(level: str) -> str:
    """The tone of a message of Django's messages framework."""
    return {"success": "good", "warning": "warn", "error": "bad"}.get(level, "info")


# --- acts -------------------------------------------------------------------------------------


@register.inclusion_tag("components/action.html", takes_context=True)
def action(
    context: Context,
    label: str,
    url: str = "",
    *,
    decision: Decision = ALLOWED,
    method: str = "get",
    tone: str = "",
    icon: str = "",
    key: str = "",
    name: str = "",
    value: str = "",
    submit: bool = False,
) -> dict[str, Any]:
    """A button that acts, or that says why it cannot.

    `method` "get" is a link (to a form or confirm page), "post" a form of its own with the CSRF
    token; `submit` makes it a submit button of the form around it. `key` is its shortcut.
    """
    return {
        "label": label,
        "url": url,
        "decision": decision,
        "method": method,
        "css": f"btn-{tone}" if tone else "",
        "icon_name": icon,
        "key": key,
        "name": name,
        "value": value,
        "submit": submit,
        "csrf_token": context.get("csrf_token", ""),
        "why_id": f"why-{crc32(f'{label}|{url}|{value}'.encode()):x}",
    }


@register.inclusion_tag("components/field.html")
def field(bound: Any, label: str = "") -> dict[str, Any]:
    """One form field: label, control, help, and what is wrong, beside it."""
    checkbox = getattr(bound.field.widget, "input_type", "") == "checkbox"
    return {"field": bound, "label": label or bound.label, "checkbox": checkbox}


@register.inclusion_tag("components/form_fields.html")
def form_fields(form: Any) -> dict[str, Any]:
    """All fields of a form, and the errors that belong to none of them."""
    return {"form": form}


@register.inclusion_tag("components/tab.html")
def tab(
    label: str, href: str, current: bool = False, count: int | None = None, icon: str = ""
) -> dict[str, Any]:
    """One tab, a real link; put several inside `<nav class="e-tabs" aria-label="…">`."""
    return {"label": label, "href": href, "current": current, "count": count, "icon_name": icon}


# --- evidence ---------------------------------------------------------------------------------


@register.inclusion_tag("components/verdict.html")
def verdict(tone: str, say: str, detail: str = "", icon: str = "") -> dict[str, Any]:
    """One sentence that answers the page's question. `tone`: good, warn, bad, info or quiet."""
    default = {"good": "circle-check", "warn": "alert-circle", "bad": "circle-x"}
    return {
        "tone": tone,
        "say": say,
        "detail": detail,
        "icon_name": icon or default.get(tone, "info-circle"),
    }


@register.simple_block_tag(takes_context=True)
def gate(
    context: Context,
    content: str,
    name: str,
    outcome: str,
    *,
    observed: Any = "",
    needed: Any = "",
    note: str = "",
    open: bool = False,
) -> str:
    """A gate or check as a row; what stands inside the block unfolds below it."""
    return render_to_string(
        "components/gate.html",
        {
            "name": name,
            "outcome": outcome,
            "observed": observed,
            "needed": needed,
            "note": note,
            "open": open,
            "content": content.strip() and content,
        },
    )


@register.simple_block_tag
def card(
    content: str, title: str = "", *, note: str = "", tone: str = "", flush: bool = False
) -> str:
    """A framed part of a page. `flush` for a table or list that reaches the edges."""
    return render_to_string(
        "components/card.html",
        {"content": content, "title": title, "note": note, "tone": tone, "flush": flush},
    )


@register.simple_block_tag
def notice(content: str, tone: str = "info", icon: str = "") -> str:
    """A remark that matters on this page: a demo policy, a differing data set, stale data."""
    default = {"good": "circle-check", "warn": "alert-triangle", "bad": "alert-octagon"}
    return render_to_string(
        "components/notice.html",
        {"content": content, "tone": tone, "icon_name": icon or default.get(tone, "info-circle")},
    )


@register.inclusion_tag("components/timeline.html")
def timeline(events: Any) -> dict[str, Any]:
    """Events, newest first: objects or dicts with at, title and, if any, actor, text, icon,
    tone, href."""
    return {"events": events}


@register.inclusion_tag("components/progress.html")
def progress(
    done: float, total: float, label: str = "", *, text: str = "", tone: str = ""
) -> dict[str, Any]:
    """A bar from 0 to `total`, 0 when the end is not known; `text` replaces "n of m"."""
    return {
        "done": min(done, total) if total else done,
        "total": total,
        "label": label,
        "text": text or (f"{figure(done)} of {figure(total)}" if total else ""),
        "tone": tone,
    }


@register.inclusion_tag("components/line_chart.html")
def line_chart(chart: LineChart) -> dict[str, Any]:
    """A time or step chart with its table; see `core.charts.LineChart`."""
    name = chart.name or "chart-" + "".join(c if c.isalnum() else "-" for c in chart.title.lower())
    return {"chart": chart, "data": chart.as_json(), "name": name}


for _name in ("roc", "precision_recall", "calibration", "bars", "histogram", "sparkline"):
    register.simple_tag(getattr(plots, _name), name=f"plot_{_name}")
register.simple_tag(plots.confusion, name="plot_confusion")
