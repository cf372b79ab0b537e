"""Names that complete the search line, as the options of its list."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html_join
from django.views.decorators.http import require_safe

from training.search.completion import complete
from training.search.grammar import LONGEST


@login_required
@require_safe
def run_names(request: HttpRequest) -> HttpResponse:
    """For the search of runs."""
    return options(complete(request.GET.get("q", "")[:LONGEST]))


def options(lines: list[str]) -> HttpResponse:
    """The lines as what a list offers."""
    return HttpResponse(format_html_join("", '<option value="{}">', ([line] for line in lines)))
