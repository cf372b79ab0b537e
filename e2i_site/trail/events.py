"""Names of the events that may be recorded."""

from __future__ import annotations

_events: dict[str, str] = {}


def register(name: str, label: str) -> str:
    """Allow `name` (app.object.verb) in the trail and give the words pages show for it."""
    known = _events.setdefault(name, label)
    if known != label:
        raise ValueError(f"Trail event {name} is already registered as {known!r}.")
    return name


def label(name: str) -> str:
    """The words for an event; its name when the app that registered it is gone."""
    return _events.get(name, name)


def is_registered(name: str) -> bool:
    return name in _events


def choices() -> list[tuple[str, str]]:
    """All events as (name, label), sorted by label."""
    return sorted(_events.items(), key=lambda item: item[1])
