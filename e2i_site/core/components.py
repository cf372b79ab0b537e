"""Components that act or hold evidence; `{% load e2i %}` brings them with the others."""

from __future__ import annotations

import json
from typing import Any
from zlib import crc32

from django import template
from django.template import Context
from django.template.loader import render_to_string

from e2i_site.core import plots
from e2i_site.core.charts import LineChart
from e2i_site.core.decision import ALLOWED, Decision
from e2i_site.core.formats import figure

register = template.Library()

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
    widget = bound.field.widget
    several = getattr(widget, "allow_multiple_selected", False)
    checkbox = getattr(widget, "input_type", "") == "checkbox" and not several
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
    dry_run: bool = False,
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
            "dry_run": dry_run,
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
    return {"chart": chart, "data": json.dumps(chart.as_json()), "name": name}


for _name in (
    "roc",
    "precision_recall",
    "calibration",
    "bars",
    "histogram",
    "scatter",
    "sparkline",
):
    register.simple_tag(getattr(plots, _name), name=f"plot_{_name}")
register.simple_tag(plots.confusion, name="plot_confusion")
