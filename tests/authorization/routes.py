"""Every route and method of the site, read from the URL configuration."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import Any

from django.apps import apps
from django.contrib import admin
from django.contrib.auth.models import User
from django.test import RequestFactory
from django.urls import URLPattern, URLResolver, get_resolver
from django.views.generic import RedirectView

_READ = {"HEAD", "OPTIONS", "TRACE"}
_GROUP = re.compile(r"\(\?P<(\w+)>(?:[^()]|\([^()]*\))*\)")
_CONVERTER = re.compile(r"<\w+:(\w+)>")


def all_routes() -> list[tuple[str, str]]:
    """(route, method), such as ("api/v1/jobs/<pk>/cancel/", "POST"), and admin's bulk actions."""
    found = {(route, method) for route, view in _walk() for method in _methods(view)}
    return sorted(found | set(_admin_actions()))


def _walk(resolver: Any = None, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for each in (resolver or get_resolver()).url_patterns:
        path = prefix + _plain(str(each.pattern))
        if isinstance(each, URLResolver):
            yield from _walk(each, path)
        elif isinstance(each, URLPattern):
            yield path, each.callback


def _plain(pattern: str) -> str:
    """A pattern without its regular expression: `^jobs/(?P<pk>[^/.]+)/$` is `jobs/<pk>/`."""
    named = _GROUP.sub(r"<\1>", pattern)
    return _CONVERTER.sub(r"<\1>", named).replace("^", "").replace("$", "").replace("\\Z", "")


def _methods(view: Any) -> set[str]:
    """The methods a view answers; GET and POST where it does not say."""
    if actions := getattr(view, "actions", None):
        return {method.upper() for method in actions} - _READ
    made_of = getattr(view, "view_class", None) or getattr(view, "cls", None)
    if made_of is RedirectView:
        return {"GET"}  # it leads on in the same way whatever the method
    if made_of is not None:
        return {
            name.upper() for name in made_of.http_method_names if hasattr(made_of, name)
        } - _READ
    while view is not None:
        closed = inspect.getclosurevars(view).nonlocals if inspect.isfunction(view) else {}
        if listed := closed.get("request_method_list"):
            return set(listed) - _READ
        view = getattr(view, "__wrapped__", None)
    return {"GET", "POST"}


def _admin_actions() -> Iterator[tuple[str, str]]:
    """The bulk actions that a list of the admin offers a superuser: (list, `ACTION name`)."""
    request = RequestFactory().get("/admin/")
    request.user = User(username="superuser", is_superuser=True, is_staff=True)
    for model, page in admin.site._registry.items():
        for name in page.get_actions(request):
            yield f"admin/{model._meta.label_lower.replace('.', '/')}/", f"ACTION {name}"


def object_of(route: str) -> Any:
    """The key of a row that an address of the admin may name; None when there is none."""
    _, app, model, *_ = route.split("/")
    if app == "r":  # leads to the site's page of any row
        return None
    return apps.get_model(app, model)._default_manager.values_list("pk", flat=True).first()
