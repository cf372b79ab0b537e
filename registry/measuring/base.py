"""Kinds of measurement, and what each gets to work with. Other apps add theirs in `ready`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from e2i_site.core.errors import E2IError

if TYPE_CHECKING:
    from registry.gates.needs import Want
    from registry.measuring.bench import Bench
    from registry.measuring.probe import Question


class Impossible(E2IError):
    """It cannot be measured, and trying again will not help; the message says what is missing."""


@dataclass(frozen=True)
class Found:
    """A result. `interval` is {"low", "high", "level"}; `inputs` says what went in, by digest."""

    result: Mapping[str, Any]
    sample_size: int | None = None
    interval: Mapping[str, float] | None = None
    inputs: Mapping[str, Any] = field(default_factory=dict)


Function = Callable[["Bench", "Want"], Found]
Asks = Callable[["Bench", "Want"], "Iterable[Question]"]


@dataclass(frozen=True)
class Kind:
    function: Function
    asks: Asks


_kinds: dict[str, Kind] = {}


def measures(name: str, *, asks: Asks = lambda bench, want: ()) -> Callable[[Function], Function]:
    """Register the decorated function as the way to measure `name`.

    It runs outside any transaction. It raises `Impossible` where something is missing; any other
    exception is an error of this measurement alone. `asks` says beforehand what it will ask of
    models, so that all kinds together start one process; see `Bench.reply`.
    """

    def decorate(function: Function) -> Function:
        known = _kinds.get(name)
        if known and known.function.__module__ != function.__module__:
            raise ValueError(f"Measurement {name} is already registered.")
        _kinds[name] = Kind(function, asks)
        return function

    return decorate


def find(name: str) -> Kind:
    """What measures `name`; KeyError names the known ones."""
    try:
        return _kinds[name]
    except KeyError:
        known = ", ".join(sorted(_kinds)) or "none"
        raise KeyError(f"Nothing measures {name!r}; known kinds: {known}.") from None
