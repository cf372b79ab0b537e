"""Which function does which kind of job."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from e2i_site.core.errors import E2IError

if TYPE_CHECKING:
    from e2i_site.jobs.runner import JobContext

logger = logging.getLogger(__name__)

Function = Callable[["JobContext"], dict[str, Any]]


class Wait(E2IError):
    """Something outside is not ready. The job goes back, without using up an attempt."""

    def __init__(self, message: str, *, seconds: float = 30) -> None:
        super().__init__(message)
        self.seconds = seconds


class Cancelled(E2IError):
    """The job was asked to stop."""


class LeaseLost(E2IError):
    """Another worker took the job over; this one must not write any more."""


class Permanent(E2IError):
    """Trying again cannot help. The job fails at once."""


@dataclass(frozen=True)
class Handler:
    """`isolated` jobs run in a killable subprocess; `lease` is in seconds."""

    kind: str
    function: Function
    ordered: bool
    isolated: bool
    lease: float
    max_attempts: int


_handlers: dict[str, Handler] = {}
_unknown: set[str] = set()
_lock = threading.Lock()


def handler(
    kind: str,
    *,
    ordered: bool = False,
    isolated: bool = False,
    lease: float = 60,
    max_attempts: int = 3,
) -> Callable[[Function], Function]:
    """Register the decorated function for jobs of `kind` (app.verb)."""

    def decorate(function: Function) -> Function:
        with _lock:
            if kind in _handlers and _handlers[kind].function.__module__ != function.__module__:
                raise ValueError(f"Job kind {kind} is already registered.")
            _handlers[kind] = Handler(kind, function, ordered, isolated, lease, max_attempts)
        return function

    return decorate


def find(kind: str) -> Handler:
    """The handler of `kind`; KeyError names the known kinds."""
    try:
        return _handlers[kind]
    except KeyError:
        known = ", ".join(sorted(_handlers)) or "none"
        raise KeyError(f"No handler for job kind {kind!r}; known kinds: {known}.") from None


def look_up(kind: str) -> Handler | None:
    """The handler of `kind`; None for a kind of another release, which is logged once."""
    if (found := _handlers.get(kind)) is None and kind not in _unknown:
        _unknown.add(kind)
        logger.warning(
            "No handler here for jobs of kind %s; they wait for a release with one.", kind
        )
    return found


def kinds() -> list[str]:
    """All kinds that this process can do."""
    return sorted(_handlers)
