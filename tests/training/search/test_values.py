"""Numbers, lengths of time and stretches of time of the search line."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.search import values
from training.search.expressions import as_regex

NOW = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)


def at(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc, arg-type]


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("2026", at(2026, 1, 1), at(2027, 1, 1)),
        ("2025-12", at(2025, 12, 1), at(2026, 1, 1)),
        ("2026-02-28", at(2026, 2, 28), at(2026, 3, 1)),
        ("2026-02-28 09:30", at(2026, 2, 28, 9, 30), at(2026, 2, 28, 9, 31)),
        ("2026-02-28T09:30:05Z", at(2026, 2, 28, 9, 30, 5), at(2026, 2, 28, 9, 30, 6)),
        ("today", at(2026, 3, 1), at(2026, 3, 2)),
        ("yesterday", at(2026, 2, 28), at(2026, 3, 1)),
        ("-1d", at(2026, 2, 28, 12, 30), at(2026, 2, 28, 12, 30)),
        ("1767225600000", at(2026, 1, 1), at(2026, 1, 1, 0, 0, 0, 1000)),
    ],
)
def test_a_time_lasts_from_and_to(text: str, start: datetime, end: datetime) -> None:
    assert values.stretch(text, NOW) == (start, end)


@pytest.mark.parametrize("text", ["2026-13", "2026-02-30", "9999", "0000", "soon", "-9e9d", ""])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"no such time|write a date"):
        values.stretch(text, NOW)


@given(st.text("0123456789-:T tZ.", max_size=20) | st.text(max_size=12))
def test_any_text_is_a_time_or_refused(text: str) -> None:
    try:
        start, end = values.stretch(text, NOW)
    except ValueError as error:
        assert str(error)
    else:
        assert start <= end


@pytest.mark.parametrize(("text", "length"), [("90", 90), ("1.5h", 5400), ("2d", 172800)])
def test_a_length_of_time_has_a_unit(text: str, length: float) -> None:
    assert values.seconds(text) == length


@pytest.mark.parametrize("text", ["nan", "1_0", "٣", "0x1", "", "1e"])
def test_what_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="write a number"):
        values.number(text)


def test_a_pattern_of_many_parts_takes_no_long_time() -> None:
    expression = as_regex("%a" * 200 + "%b")
    begin = time.perf_counter()
    assert not re.search(expression, "a" * 5000)
    assert time.perf_counter() - begin < 1
