"""Times and numbers in words."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from typing import Any


def relative(value: datetime, now: datetime) -> str:
    """Words such as "3 min ago" or "in 2 h"; a date when it is more than 30 days away."""
    seconds = (now - value).total_seconds()
    size = abs(seconds)
    if size >= 30 * 86400:
        return value.strftime("%-d %b %Y")
    if size < 5:
        return "now"
    units = (("day", 86400), ("h", 3600), ("min", 60), ("s", 1))
    name, length = next(unit for unit in units if size >= unit[1])
    count = int(size // length)
    words = f"{count} {name}{'s' if name == 'day' and count != 1 else ''}"
    return f"in {words}" if seconds < 0 else f"{words} ago"


def duration(value: timedelta | float | None) -> str:
    """Seconds or a timedelta in words: "850 ms", "4.2 s", "3 min 5 s", "23 h 58 min"."""
    if value is None:
        return "–"
    seconds = value.total_seconds() if isinstance(value, timedelta) else float(value)
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    days, rest = divmod(whole, 86400)
    hours, rest = divmod(rest, 3600)
    minutes, left = divmod(rest, 60)
    parts = [(days, "d"), (hours, "h"), (minutes, "min"), (left, "s")]
    first = next(index for index, (count, _) in enumerate(parts) if count)
    return " ".join(f"{count} {unit}" for count, unit in parts[first : first + 2] if count)


def figure(value: Any, digits: int = 4) -> str:
    """A number for a column: thousands apart, `digits` significant places for fractions."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return "–"
    if isinstance(value, int):
        return f"{value:,}"
    number = float(value)
    return f"{number:,.0f}" if abs(number) >= 10_000 else f"{number:.{digits}g}"


def percent(value: float | None) -> str:
    """A share of 1 as a percentage with up to three significant places: "0 %", "0.12 %"."""
    if value is None or not math.isfinite(value):
        return "–"
    return f"{value * 100:.3g} %"
