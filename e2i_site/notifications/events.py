"""What people can be told, registered by each app's `notification_events.py`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Event:
    """`label` is what people choose by. One that is `mandatory` always reaches the inbox.

    A `personal` one is for those it is meant for only: neither who watches the model nor a shared
    webhook is told.
    """

    name: str
    label: str
    mandatory: bool = False
    personal: bool = False


_events: dict[str, Event] = {}


def register(name: str, label: str, *, mandatory: bool = False, personal: bool = False) -> str:
    """Allow `name` (app.object.verb) in `notify`; gives it back."""
    event = Event(name, label, mandatory, personal)
    if _events.setdefault(name, event) != event:
        raise ValueError(f"Notification event {name} is already registered otherwise.")
    return name


def find(name: str) -> Event:
    """The event; ValueError when no app registered it."""
    try:
        return _events[name]
    except KeyError:
        raise ValueError(f"Notification event {name!r} is not registered.") from None


def label(name: str) -> str:
    """The words for an event; its name when the app that registered it is gone."""
    return _events[name].label if name in _events else name


def all_events() -> list[Event]:
    """Every event, sorted by its words."""
    return sorted(_events.values(), key=lambda event: event.label)


def is_registered(name: str) -> bool:
    return name in _events
