"""Errors that people see. Each names what is wrong, where, and what to do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any


class E2IError(Exception):
    """Base of every error that E2I raises on purpose."""


class ConfigurationError(E2IError):
    """The environment holds a value that cannot be used. The start stops."""


class InvalidInput(E2IError):
    """Input that cannot be accepted. `field` names the form or API field, if one is at fault.

    `details` are the single faults inside a field, as the API's problem details list them.
    """

    details: Sequence[Mapping[str, Any]] = ()

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


class Refused(E2IError):
    """A rule says no. `reasons` are sentences for the person who asked."""

    def __init__(self, reasons: Iterable[str]) -> None:
        self.reasons = tuple(reasons)
        super().__init__(" ".join(self.reasons))


class Conflict(E2IError):
    """Somebody else changed the same thing first. Reload, look, and decide again."""
