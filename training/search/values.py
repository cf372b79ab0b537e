"""Values of the search line as numbers, lengths of time and stretches of time."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?|[+-]?inf(inity)?", re.IGNORECASE | re.A)
_DURATION = re.compile(r"(?P<number>\d+\.?\d*|\.\d+)(?P<unit>ms|s|min|m|h|d|w)?", re.A)
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_MOMENT = re.compile(
    r"(?P<year>\d{4})(-(?P<month>\d\d)(-(?P<day>\d\d)"
    r"([T ](?P<hour>\d\d)(:(?P<minute>\d\d)(:(?P<second>\d\d))?)?Z?)?)?)?",
    re.A,
)
_PARTS = ("year", "month", "day", "hour", "minute", "second")
_STEPS = {
    "day": timedelta(days=1),
    "hour": timedelta(hours=1),
    "minute": timedelta(minutes=1),
    "second": timedelta(seconds=1),
}
_MILLISECONDS = re.compile(r"\d{11,14}", re.A)


def number(text: str) -> float:
    """A number as Python writes them, infinities too; ValueError for anything else, and NaN."""
    if not _NUMBER.fullmatch(text):
        raise ValueError("write a number, as in 0.9, 1e-3 or inf")
    return float(text)


def seconds(text: str) -> float:
    """Seconds of "90", "1.5h" or "2d"; ValueError for anything else."""
    found = _DURATION.fullmatch(text)
    if found is None:
        raise ValueError("write seconds, or a number with s, min, h or d, as in 90s or 1.5h")
    length = float(found["number"]) * _UNITS[found["unit"] or "s"]
    if not math.isfinite(length):
        raise ValueError("this is too long")
    return length


def stretch(text: str, now: datetime) -> tuple[datetime, datetime]:
    """The time from and up to which `text` lasts, in UTC; ValueError for anything else.

    "2026", "2026-01", "2026-01-31", "2026-01-31T09:30"; "today" and "yesterday"; "-7d" is the
    moment a week ago; digits alone are milliseconds since 1970, as in MLflow.
    """
    try:
        for read in _READERS:
            if found := read(text, now):
                return found
    except (OverflowError, ValueError, OSError):
        raise ValueError("there is no such time") from None
    raise ValueError("write a date or time in UTC, as in 2026-01-31, 2026-01-31T09:30, today, -7d")


def _day(text: str, now: datetime) -> tuple[datetime, datetime] | None:
    back = {"today": 0, "yesterday": 1}.get(text.lower())
    if back is None:
        return None
    start = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    start -= timedelta(days=back)
    return start, start + timedelta(days=1)


def _ago(text: str, now: datetime) -> tuple[datetime, datetime] | None:
    found = _DURATION.fullmatch(text[1:]) if text.startswith("-") else None
    if found is None:
        return None
    moment = now - timedelta(seconds=seconds(text[1:]))
    return moment, moment


def _since_1970(text: str, now: datetime) -> tuple[datetime, datetime] | None:
    if not _MILLISECONDS.fullmatch(text):
        return None
    start = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=int(text))
    return start, start + timedelta(milliseconds=1)


def _moment(text: str, now: datetime) -> tuple[datetime, datetime] | None:
    found = _MOMENT.fullmatch(text)
    if found is None:
        return None
    given = {part: int(found[part]) for part in _PARTS if found[part]}
    start = datetime(**{"month": 1, "day": 1, **given}, tzinfo=UTC)
    finest = list(given)[-1]
    if finest == "year":
        return start, start.replace(year=start.year + 1)
    if finest == "month":
        return start, (start + timedelta(days=32)).replace(day=1)
    return start, start + _STEPS[finest]


_READERS: tuple[Callable[[str, datetime], tuple[datetime, datetime] | None], ...] = (
    _day,
    _ago,
    _since_1970,
    _moment,
)
