"""What a finding's page may offer to do. Apps register a remedy only where doing it is safe."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from django.contrib.auth.models import User

    from e2i_site.audit.models import Finding

RemedyFunction = Callable[["Finding", "User"], None]


@dataclass(frozen=True)
class Remedy:
    """`function` runs inside a transaction and only enqueues; `says` tells what will happen."""

    label: str
    says: str
    function: RemedyFunction


_remedies: dict[str, Remedy] = {}


def remedy(*check_ids: str, label: str, says: str) -> Callable[[RemedyFunction], RemedyFunction]:
    """Register the decorated function as the remedy of these checks' findings."""

    def register(function: RemedyFunction) -> RemedyFunction:
        for check_id in check_ids:
            known = _remedies.get(check_id)
            if known and known.function.__qualname__ != function.__qualname__:
                raise ValueError(f"Check {check_id} has the remedy {known.label!r} already.")
            _remedies[check_id] = Remedy(label, says, function)
        return function

    return register


def find(check_id: str) -> Remedy | None:
    """The remedy of a check's findings, if it has one."""
    return _remedies.get(check_id)
