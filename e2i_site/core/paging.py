"""Pages of a list by position of the last row seen, so that no count and no offset is needed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from django.db.models import F, Q, QuerySet
from django.http import HttpRequest

from e2i_site.core.http import number_in


@dataclass(frozen=True)
class Position:
    """A row's place in its section. `value` is that of the section's key; None without a key."""

    pk: int
    value: Any = None


@dataclass(frozen=True)
class Section:
    """Rows in the order of `key` and then of the primary key, both in the same direction.

    Without a key the primary key alone orders. `key` is never null in `rows`: rows without a
    value are a section of their own, before or after. `read` makes a value of the URL's text, and
    raises ValueError for a text that is none.
    """

    rows: QuerySet[Any]
    key: str = ""
    descending: bool = True
    read: Callable[[str], Any] = str

    def reversed(self) -> Section:
        return replace(self, descending=not self.descending)

    def ordered(self) -> QuerySet[Any]:
        """All rows in order."""
        return self.rows.order_by(*self.order(F(self.key) if self.key else None))

    def order(self, key: Any = None) -> list[Any]:
        fields = [key, F("pk")] if key is not None else [F("pk")]
        return [each.desc() if self.descending else each.asc() for each in fields]

    def beyond(self, position: Position | None, *, key: str = "", pk: str = "pk") -> Q:
        """Rows after `position`, as a condition on the fields `key` and `pk`."""
        if position is None:
            return Q()
        than = "lt" if self.descending else "gt"
        further = Q(**{f"{pk}__{than}": position.pk})
        if not key:
            return further
        # Said twice, so that an index on the key begins at the right place.
        return Q(**{f"{key}__{than}e": position.value}) & (
            Q(**{f"{key}__{than}": position.value}) | further
        )

    def take(self, count: int, position: Position | None = None) -> list[Any]:
        """The next `count` rows after `position`; one query."""
        return list(self.ordered().filter(self.beyond(position, key=self.key))[:count])

    def position_of(self, row: Any) -> str:
        """The row's position as the URL holds it: "value,key", or the key alone."""
        if not self.key:
            return str(row.pk)
        value = getattr(row, self.key)
        if isinstance(value, datetime):
            value = value.isoformat()
        return f"{value!r},{row.pk}" if isinstance(value, float) else f"{value},{row.pk}"

    def position(self, text: str) -> Position | None:
        """The position that the URL names, if it is one of this section."""
        value, comma, pk = text.rpartition(",")
        key = number_in(pk)
        if key is None or bool(comma) != bool(self.key) or "\x00" in value:
            return None
        try:
            return Position(key, self.read(value) if self.key else None)
        except ValueError:
            return None


@dataclass(frozen=True)
class KeyedSection(Section):
    """A section whose keys are found first, and then their rows, as `full` shows them."""

    full: QuerySet[Any] | None = None

    def take(self, count: int, position: Position | None = None) -> list[Any]:
        """As in Section; one query more than `find` makes."""
        found = self.find(count, position)
        full = self.rows.model._default_manager.all() if self.full is None else self.full
        rows = full.in_bulk([pk for pk, _ in found])
        for pk, key in found if self.key else ():
            setattr(rows[pk], self.key, key)
        return [rows[pk] for pk, _ in found]

    def find(self, count: int, position: Position | None) -> list[tuple[int, Any]]:
        """Primary keys and values of the order of the next rows; one query."""
        rows = self.ordered().filter(self.beyond(position, key=self.key))
        return list(rows.values_list("pk", self.key or "pk")[:count])


@dataclass(frozen=True)
class KeysetPage:
    """Rows of one page in order, and the positions of its neighbours (None at an end)."""

    rows: list[Any]
    older: str | int | None
    newer: str | int | None
    first: str = "Newest"

    def __iter__(self) -> Any:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)


def keyset_page(queryset: QuerySet[Any], request: HttpRequest, *, size: int = 50) -> KeysetPage:
    """The page that `?before=ID` or `?after=ID` names, ordered by primary key, newest first.

    One query, whatever the page; a key that is not a number is ignored.
    """
    return ordered_page([Section(queryset)], request, size=size, first="Newest")


def ordered_page(
    sections: Sequence[Section], request: HttpRequest, *, size: int = 50, first: str = "First"
) -> KeysetPage:
    """The page of a list in sections that `?before=` (go on) or `?after=` (go back) names.

    One query for each section that the page reaches into; a position that is none is ignored.
    """
    after, before = (request.GET.get(name, "") for name in ("after", "before"))
    if after and (at := _find(sections, after)):
        backwards = [section.reversed() for section in sections[: at[0] + 1]][::-1]
        found = _gather(backwards, at[1], size + 1)
        shown = found[:size][::-1]
        more = len(found) > size
        return KeysetPage(_rows(shown), _last(shown), _first(shown) if more else None, first)
    at = _find(sections, before) if before else None
    found = _gather(sections[at[0] :], at[1], size + 1) if at else _gather(sections, None, size + 1)
    shown = found[:size]
    return KeysetPage(
        _rows(shown),
        _last(shown) if len(found) > size else None,
        _first(shown) if at else None,
        first,
    )


_Found = list[tuple[Section, Any]]


def _find(sections: Sequence[Section], text: str) -> tuple[int, Position] | None:
    """The section that the position is in, by number, and the position."""
    for number, section in enumerate(sections):
        if position := section.position(text):
            return number, position
    return None


def _gather(sections: Sequence[Section], position: Position | None, count: int) -> _Found:
    """The next rows with their sections; `position` is in the first of them."""
    found: _Found = []
    for section in sections:
        wanted = count - len(found)
        if wanted > 0:
            found += [(section, row) for row in section.take(wanted, position)]
        position = None
    return found


def _rows(found: _Found) -> list[Any]:
    return [row for _, row in found]


def _first(found: _Found) -> str | None:
    return found[0][0].position_of(found[0][1]) if found else None


def _last(found: _Found) -> str | None:
    return found[-1][0].position_of(found[-1][1]) if found else None


@dataclass(frozen=True)
class Bounded:
    """A number of rows, exact up to a bound."""

    number: int
    is_exact: bool

    def __str__(self) -> str:
        return f"{self.number:,}{'' if self.is_exact else '+'}"


def count_up_to(rows: QuerySet[Any], bound: int = 10_000) -> Bounded:
    """How many rows there are; from `bound` on only that there are more. One query."""
    found = rows.order_by().values("pk")[: bound + 1].count()
    return Bounded(min(found, bound), found <= bound)
