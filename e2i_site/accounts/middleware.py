"""Nobody reads anything without logging in and having a role."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib.auth.middleware import LoginRequiredMiddleware
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponseBase

from e2i_site.core.roles import roles_of

# One's own account, and the admin, which asks for staff rights itself.
_WITHOUT_ROLE = ("/accounts/", "/admin/")


class RoleRequiredMiddleware(LoginRequiredMiddleware):
    """Every page asks for a login and a role, unless its view is marked `login_not_required`.

    A new page is closed until somebody opens it. API views check in their permission classes,
    because a token is read there.
    """

    def process_view(
        self,
        request: HttpRequest,
        view_func: Callable[..., HttpResponseBase],
        view_args: tuple[Any, ...],
        view_kwargs: dict[str, Any],
    ) -> HttpResponseBase | None:
        response = super().process_view(request, view_func, view_args, view_kwargs)
        if response is not None or not getattr(view_func, "login_required", True):
            return response
        if request.path.startswith(_WITHOUT_ROLE) or roles_of(request.user):
            return None
        raise PermissionDenied("Your account has no role yet; an administrator gives one.")
