"""Who calls: one person a role, and those without."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from django.conf import settings
from django.contrib.auth.models import Group, User
from django.core.handlers.base import BaseHandler
from django.db import transaction
from django.test import Client, RequestFactory
from knox.models import AuthToken

from e2i_site.core.roles import Role

CALLERS = ("anonymous", "outsider", *Role.values, "superuser", "token")
ALLOWED, REFUSED, LOGIN, BROKEN = "y", "-", "L", "E"


class Callers:
    """Makes calls as each of `CALLERS`; what a call changed is undone at once."""

    def __init__(self, people: SimpleNamespace) -> None:
        # Neither of these has more rights for being one: the admin's pages, and all roles by token.
        superuser = User.objects.create_superuser("superuser", "s@example.org", "not used here")
        service = User.objects.create_user("service")
        service.groups.set(Group.objects.filter(name__in=Role.values))
        # Ten thousand calls: Django's test client would load all middleware again for each.
        self._make = RequestFactory()
        self._site = BaseHandler()
        self._site.load_middleware()
        self._token = AuthToken.objects.create(service)[1]
        self._sessions = {
            name: self._log_in(superuser if name == "superuser" else getattr(people, name))
            for name in CALLERS
            if name not in ("anonymous", "token")
        }

    def cells(self, method: str, path: str, body: Any) -> str:
        """One letter a caller."""
        return "".join(self._cell(name, method, path, body) for name in CALLERS)

    def _cell(self, name: str, method: str, path: str, body: Any) -> str:
        extra = {"HTTP_AUTHORIZATION": f"Token {self._token}"} if name == "token" else {}
        kind = {"content_type": "application/json"} if path.startswith("/api/") else {}
        if method == "GET" or body is None:
            request = self._make.generic(method, path, **extra)
        else:
            request = getattr(self._make, method.lower())(path, body, **kind, **extra)
        request._dont_enforce_csrf_checks = True
        if name in self._sessions:
            request.COOKIES[settings.SESSION_COOKIE_NAME] = self._sessions[name]
        with transaction.atomic():
            response = self._site.get_response(request)
            transaction.set_rollback(True)
        return _judge(request, response)

    def _log_in(self, user: User) -> str:
        client = Client()
        client.force_login(user)
        return str(client.cookies["sessionid"].value)


def _judge(request: Any, response: Any) -> str:
    status = response.status_code
    if status >= 500:
        return BROKEN
    if status == 401 or (status == 302 and "/login/" in response.headers["Location"]):
        return LOGIN
    return REFUSED if status >= 400 or _complained(request) else ALLOWED


def _complained(request: Any) -> bool:
    """A page that refuses by a message on the page it leads back to."""
    queued = getattr(request, "_messages", None)
    return any(message.level_tag == "error" for message in getattr(queued, "_queued_messages", ()))
