"""Home: the only page that spans the apps."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render


def home(request: HttpRequest) -> HttpResponse:
    """What waits for me, what is unsafe now, what serves where."""
    return render(request, "home.html")
