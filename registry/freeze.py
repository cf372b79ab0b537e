"""Freeze windows: times in which nothing is promoted to a stage. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


@dataclass(frozen=True)
class Freeze:
    """A time of freeze that is on. `until` is its end, aware."""

    reason: str
    until: datetime

    @property
    def sentence(self) -> str:
        end = self.until.astimezone(UTC)
        return f"A freeze is on until {end:%Y-%m-%d %H:%M} UTC: {self.reason}"


def freeze_at(windows: Iterable[Mapping[str, Any]], moment: datetime) -> Freeze | None:
    """The freeze that is on at `moment` (aware) and ends last; None when there is none."""
    on = [freeze for window in windows if (freeze := _on(window, moment))]
    return max(on, key=lambda each: each.until, default=None)


def instant(text: str) -> datetime:
    """ "2026-12-20T00:00Z" as an aware time; `ValueError` when it names no zone."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("it names no time zone")
    return moment


def clock(text: str) -> timedelta:
    """ "16:30" as the time since midnight; "24:00" is the day's end."""
    if text == "24:00":
        return timedelta(days=1)
    found = time.fromisoformat(text)
    if found.tzinfo or len(text) != 5:
        raise ValueError("it is not of the form HH:MM")
    return timedelta(hours=found.hour, minutes=found.minute)


def _on(window: Mapping[str, Any], moment: datetime) -> Freeze | None:
    if "days" in window:
        return _weekly(window, moment)
    end = instant(window["to"])
    on = instant(window["from"]) <= moment < end
    return Freeze(window["reason"], end) if on else None


def _weekly(window: Mapping[str, Any], moment: datetime) -> Freeze | None:
    """A window that ends before it begins ends on the next day."""
    zone = ZoneInfo(window.get("timezone", "UTC"))
    begin, end = clock(window["from"]), clock(window["to"])
    if end <= begin:
        end += timedelta(days=1)
    today = moment.astimezone(zone).date()
    for day in (today, today - timedelta(days=1)):
        if DAYS[day.weekday()] not in window["days"]:
            continue
        until = _at(day, end, zone)
        if _at(day, begin, zone) <= moment < until:
            return Freeze(window["reason"], until)
    return None


def _at(day: date, since_midnight: timedelta, zone: ZoneInfo) -> datetime:
    """Wall-clock time of `day` in `zone`, so that a change to summer time moves nothing."""
    return (datetime.combine(day, time()) + since_midnight).replace(tzinfo=zone)
