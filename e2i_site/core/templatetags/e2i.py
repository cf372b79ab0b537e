"""The components of the pages. docs/design.md shows each with an example."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from django import template
from django.core.paginator import Page
from django.http import HttpRequest
from django.template import Context
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

from e2i_site.core import components
from e2i_site.core.formats import duration, figure, percent, relative
from e2i_site.core.places import places
from e2i_site.core.statuses import look

register = template.Library()
register.tags.update(components.register.tags)
ICONS = Path(__file__).resolve().parents[2] / "static/e2i_site/vendor/icons"
STAGES = ("development", "staging", "shadow", "production")
register.filter(duration)
register.filter(figure)
register.filter(percent)
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
def mark(value: Any, name: str = "", kind: str = "", dry_run: bool = False) -> SafeString:
    """A status as a small round mark, for rows of gates; its words are read out and on hover.

    With `dry_run` it is an outline: reported, and nothing depends on it.
    """
    seen = look(value, kind=kind)
    words = f"{name}: {seen.label}" if name else seen.label
    return format_html(
        '<span class="e-mark{}" data-tone="{}" title="{}">{}</span>',
        " dry" if dry_run else "",
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
        "first_label": page.first,
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
