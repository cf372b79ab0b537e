"""People whom a comment may name."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from registry.mentions import named_like


@login_required
@require_safe
def people(request: HttpRequest) -> HttpResponse:
    """A list of those whose names begin with ?q=."""
    found = named_like(request.GET.get("q", "")[:150])
    return render(request, "registry/_people.html", {"people": found})
