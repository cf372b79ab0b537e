"""Names that complete the search line, as a list to choose from."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from training.search.completion import complete
from training.search.grammar import LONGEST


@login_required
@require_safe
def run_names(request: HttpRequest) -> HttpResponse:
    """For the search of runs."""
    return options(request, complete(request.GET.get("q", "")[:LONGEST]))


def options(request: HttpRequest, lines: list[str]) -> HttpResponse:
    """The lines as a list to choose from."""
    return render(request, "training/_search_names.html", {"lines": lines})
