"""Pages of a list by position of the last row seen, so that no count and no offset is needed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest


@dataclass(frozen=True)
class KeysetPage:
    """Rows of one page, newest first, and the URL queries of its neighbours (None at an end)."""

    rows: list[Any]
    older: int | None
    newer: int | None

    def __iter__(self) -> Any:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)


def keyset_page(queryset: QuerySet[Any], request: HttpRequest, *, size: int = 50) -> KeysetPage:
    """The page that `?before=ID` or `?after=ID` names, ordered by primary key, newest first.

    One query, whatever the page; a key that is not a number is ignored.
    """
    before, after = _key(request, "before"), _key(request, "after")
    if after is not None:
        found = list(queryset.filter(pk__gt=after).order_by("pk")[: size + 1])
        more = len(found) > size
        rows = found[:size][::-1]
        return KeysetPage(rows, _last(rows), rows[0].pk if more and rows else None)
    if before is not None:
        queryset = queryset.filter(pk__lt=before)
    found = list(queryset.order_by("-pk")[: size + 1])
    rows = found[:size]
    newer = rows[0].pk if before is not None and rows else None
    return KeysetPage(rows, _last(rows) if len(found) > size else None, newer)


def _key(request: HttpRequest, name: str) -> int | None:
    raw = request.GET.get(name, "")
    return int(raw) if raw.isascii() and raw.isdigit() and len(raw) < 19 else None


def _last(rows: list[Any]) -> int | None:
    return rows[-1].pk if rows else None
