"""How entries on a page stand in the chain; the whole chain is `record.verify`'s business."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from e2i_site.trail.models import TrailEntry, TrailHead
from e2i_site.trail.record import GENESIS, entry_hash


@dataclass(frozen=True)
class Links:
    """Whether one entry fits its content, the entry before it and the one after it."""

    content: bool
    before: bool
    after: bool
    last: bool

    @property
    def ok(self) -> bool:
        return self.content and self.before and self.after


def links(entry: TrailEntry) -> Links:
    """Recompute the entry's hash and compare it with its neighbours; two queries."""
    around = {
        other.pk: other
        for other in TrailEntry.objects.filter(pk__in=(entry.pk - 1, entry.pk + 1)).only(
            "pk", "hash", "previous_hash"
        )
    }
    previous, following = around.get(entry.pk - 1), around.get(entry.pk + 1)
    expected = previous.hash if previous else GENESIS if entry.pk == 1 else None
    if following:
        after = following.previous_hash == entry.hash
    else:
        head = TrailHead.objects.filter(pk=1).first()
        after = head is not None and (head.length, head.hash) == (entry.pk, entry.hash)
    return Links(
        content=entry.hash == entry_hash(entry),
        before=entry.previous_hash == expected,
        after=after,
        last=not following,
    )


def changed(entries: Sequence[TrailEntry]) -> list[int]:
    """Positions of those whose content no longer gives their hash."""
    return [entry.pk for entry in entries if entry.hash != entry_hash(entry)]


@dataclass(frozen=True)
class Change:
    """One field of an entry. `old` or `new` is None when it was absent."""

    name: str
    old: str | None
    new: str | None

    @property
    def differs(self) -> bool:
        return self.old != self.new


def changes(entry: TrailEntry) -> list[Change]:
    """Old and new values side by side, in the order of their names."""
    old, new = entry.old, entry.new
    return [
        Change(name, _text(old, name), _text(new, name)) for name in sorted(old.keys() | new.keys())
    ]


def _text(values: dict[str, Any], name: str) -> str | None:
    if name not in values:
        return None
    value = values[name]
    return value if isinstance(value, str) else json.dumps(value, indent=1, ensure_ascii=False)
