"""Which request, command or job is running, so that entries of one act belong together."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.http import HttpRequest, HttpResponseBase

from e2i_site.trail.models import Source

if TYPE_CHECKING:
    from django.contrib.auth.models import User


@dataclass(frozen=True)
class TrailContext:
    request_id: uuid.UUID
    source: str
    request: HttpRequest | None = None

    @property
    def actor(self) -> User | None:
        """Who sent the request; None outside of one."""
        user = getattr(self.request, "user", None)
        return user if user is not None and user.is_authenticated else None


_current: ContextVar[TrailContext | None] = ContextVar("trail_context", default=None)


def current() -> TrailContext:
    """The present context; outside any request or job, a fresh one for the command line."""
    return _current.get() or TrailContext(uuid.uuid4(), Source.COMMAND)


@contextmanager
def acting(
    source: str, request_id: uuid.UUID | None = None, request: HttpRequest | None = None
) -> Iterator[TrailContext]:
    """Give all entries written inside one request id and source."""
    context = TrailContext(request_id or uuid.uuid4(), source, request)
    token = _current.set(context)
    try:
        yield context
    finally:
        _current.reset(token)


class TrailMiddleware:
    """Puts each HTTP request in a context of its own."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        source = Source.API if request.path.startswith("/api/") else Source.WEB
        with acting(source, request=request) as context:
            response = self.get_response(request)
        response.headers["X-Request-Id"] = str(context.request_id)
        return response
