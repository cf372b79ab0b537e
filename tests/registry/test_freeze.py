"""When a freeze is on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from registry.freeze import DAYS, freeze_at

YEAR_END = {"from": "2026-12-20T00:00Z", "to": "2027-01-04T00:00Z", "reason": "Year's end."}
WEEKEND = {
    "days": ["friday"],
    "from": "16:00",
    "to": "08:00",
    "timezone": "Europe/Berlin",
    "reason": "Nobody is here.",
}


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc, arg-type]


def test_one_off() -> None:
    assert freeze_at([YEAR_END], utc(2026, 12, 19, 23, 59)) is None
    found = freeze_at([YEAR_END], utc(2026, 12, 20))
    assert found is not None
    assert found.sentence == "A freeze is on until 2027-01-04 00:00 UTC: Year's end."
    assert freeze_at([YEAR_END], utc(2027, 1, 4)) is None


def test_weekly_over_midnight_in_its_zone() -> None:
    friday = utc(2026, 11, 27, 14, 59)  # 15:59 in Berlin
    assert freeze_at([WEEKEND], friday) is None
    assert freeze_at([WEEKEND], friday + timedelta(minutes=1))
    assert freeze_at([WEEKEND], utc(2026, 11, 28, 6, 59))
    assert freeze_at([WEEKEND], utc(2026, 11, 28, 7)) is None
    assert freeze_at([WEEKEND], utc(2026, 7, 3, 14)), "16:00 in summer time"


def test_of_several_the_last_end_counts() -> None:
    found = freeze_at([WEEKEND, YEAR_END], utc(2026, 12, 25, 16))
    assert found is not None and found.reason == "Year's end."


@given(
    st.integers(0, 2 * 365 * 24 * 60).map(lambda m: utc(2026, 1, 1) + timedelta(minutes=m)),
    st.integers(0, 23),
    st.integers(1, 24),
)
def test_every_day_from_midnight_to_midnight_is_always_frozen(
    moment: datetime, begin: int, length: int
) -> None:
    end = begin + length
    window = {
        "days": list(DAYS),
        "from": f"{begin:02}:00",
        "to": "24:00" if end == 24 else f"{end % 24:02}:00",
        "reason": "x",
    }
    offset = (moment - moment.replace(hour=begin, minute=0, second=0, microsecond=0)) % timedelta(1)
    found = freeze_at([window], moment)
    assert (found is not None) == (offset < timedelta(hours=length))
    if found:
        assert moment < found.until <= moment + timedelta(days=1)
