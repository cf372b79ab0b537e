"""Numbers as people read them."""

from __future__ import annotations

import math
from datetime import timedelta


def count(number: float) -> str:
    """1234 -> "1,234"."""
    return f"{number:,.0f}"


def percent(share: float) -> str:
    """0.0123 -> "1.23 %"."""
    return f"{100 * share:.3g} %"


def duration(span: timedelta) -> str:
    """Whole minutes, rounded up: "2 d 3 h", "23 h 58 min", "4 min"; "0 min" for nothing."""
    minutes = math.ceil(span.total_seconds() / 60 - 1e-6)
    hours, minutes = divmod(minutes, 60)
    if hours >= 48:
        days, hours = divmod(hours, 24)
        return f"{days} d {hours} h" if hours else f"{days} d"
    if hours:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    return f"{minutes} min"
