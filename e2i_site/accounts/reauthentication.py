"""Proving, at the moment of an act, that whoever sits at the session is who signed in."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING

from axes.handlers.proxy import AxesProxyHandler
from axes.helpers import get_cool_off
from django.contrib.auth import authenticate
from django.http import HttpRequest
from django.views.decorators.debug import sensitive_variables

from e2i_site.core.errors import InvalidInput, Refused

if TYPE_CHECKING:
    from django.contrib.auth.models import User


class PasswordMissing(InvalidInput):
    """No password was typed; it does not count as a failed attempt."""


class WrongPassword(InvalidInput):
    """The password is not that of the account; it counts like a failed login."""


class LockedOut(Refused):
    """Too many wrong passwords, here or at the login."""


@sensitive_variables("password", "credentials")
def reauthenticate(user: User, password: str, *, request: HttpRequest | None) -> None:
    """Check the password of `user` again. It is neither kept nor logged.

    Failures count together with failed logins of the same name and address, and lock both.
    `request` is None on the command line. Raises PasswordMissing, WrongPassword or LockedOut.
    """
    if not password:
        raise PasswordMissing("Type your password: it signs the decision.", field="password")
    request = request or _local_request()
    credentials = {"username": user.get_username(), "password": password}
    if not AxesProxyHandler.is_allowed(request, credentials):
        raise LockedOut([_locked(request)])
    found = authenticate(request, **credentials)
    if found is None or found.pk != user.pk:
        if not AxesProxyHandler.is_allowed(request, credentials):
            raise LockedOut([_locked(request)])
        raise WrongPassword("This is not your password.", field="password")
    AxesProxyHandler.reset_attempts(username=user.get_username())


def _locked(request: HttpRequest) -> str:
    cool_off = get_cool_off(request)
    wait = f"; wait {ceil(cool_off.total_seconds() / 60)} minutes" if cool_off else ""
    return f"Too many wrong passwords{wait}, or ask an administrator to unlock your account."


def _local_request() -> HttpRequest:
    """What failures are counted by needs an address."""
    request = HttpRequest()
    request.META["REMOTE_ADDR"] = "127.0.0.1"
    return request
