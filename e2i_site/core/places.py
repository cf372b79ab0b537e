"""The places of the site, for the navigation and the keys."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.urls import reverse

# label, path below the site's root, icon, letter after g, is it below the one before
_PLACES = (
    ("Home", "", "home", "h", False),
    ("Training", "training/", "flask", "t", False),
    ("Registry", "registry/", "stack-2", "r", False),
    ("Promotions", "registry/promotions/", "git-pull-request", "p", True),
    ("Deployments", "deployments/", "rocket", "d", False),
    ("Audit", "audit/", "shield-check", "a", False),
    ("Activity", "activity/", "switch-horizontal", "v", False),
    ("Trail", "trail/", "history", "l", False),
    ("Jobs", "jobs/", "activity", "j", False),
)
_ADMIN = ("Admin", "admin/", "settings", "m", False)


def places(request: HttpRequest | None) -> list[dict[str, Any]]:
    """One dict a place that the person may open: label, href, icon, key, sub, current."""
    root = reverse("home")
    here = request.path if request else ""
    staff = bool(request and getattr(getattr(request, "user", None), "is_staff", False))
    rows = [*_PLACES, _ADMIN] if staff else list(_PLACES)
    paths = [root + path for _, path, *_ in rows]
    current = max((p for p in paths if here.startswith(p) and p != root), key=len, default=root)
    if current == root and here != root:
        current = ""
    return [
        {
            "label": label,
            "href": root + path,
            "icon": icon,
            "key": key,
            "sub": sub,
            "current": root + path == current,
        }
        for label, path, icon, key, sub in rows
    ]
