"""One template for a whole page and for the part of it that htmx asks for."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.cache import patch_vary_headers


def render_page(
    request: HttpRequest,
    template: str,
    context: dict[str, Any] | None = None,
    *,
    partials: tuple[str, ...] = ("results",),
    status: int | None = None,
) -> HttpResponse:
    """Render `template`, or only its partial when htmx's target carries the name of one.

    A target element with id "results" gets the template's `{% partialdef results %}`. Names that
    are not in `partials` get the whole page, so a stray header cannot break it.
    """
    htmx = getattr(request, "htmx", None)
    if htmx and not htmx.boosted and not htmx.history_restore_request and htmx.target in partials:
        template = f"{template}#{htmx.target}"
    response = render(request, template, context, status=status)
    patch_vary_headers(response, ["HX-Request", "HX-Target"])
    return response
