"""What one sync leaves for the next."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any


@dataclass
class FullProgress:
    """A full sync under way. What was read is not read again after a crash.

    Attributes:
        begun: when it began; what changes later is found by the short syncs.
        done: experiments that were read to the end.
        at: groups of experiments, each with the start time (ms) up to which it was read.
    """

    begun: str
    done: list[str] = field(default_factory=list)
    at: list[tuple[list[str], int | None]] = field(default_factory=list)

    def move(self, ids: Sequence[str], since: int | None, *, is_last: bool) -> None:
        """The group was read up to `since`, or to its end."""
        # A group that could not be read is read in parts, which this then replaces.
        self.at = [(some, low) for some, low in self.at if not set(some) & set(ids)]
        if is_last:
            self.done += ids
        elif since is not None:
            self.at.append((list(ids), since))


@dataclass
class Sweep:
    """The rolling reading of everything. Groups of experiments in order, each by start time.

    Attributes:
        began: when this round began, in seconds since 1970.
        group, since: where it is: number of the group, start time in ms.
        read, total: runs read in this round, and in the one before.
        per_run: seconds that reading one run takes, as measured last.
    """

    began: float = field(default_factory=time.time)
    group: int = 0
    since: int | None = None
    read: int = 0
    total: int = 0
    per_run: float = 0.001


@dataclass
class Cursor:
    """Stored as JSON with the state of the sync.

    Attributes:
        since: runs that started or ended before are mirrored.
        covered_since: every run was read after this moment, so that no late edit is older.
        registry_at: when the whole registry was asked for.
        retry: experiments to read again whole: they could not be read, or came or went.
        deleted: when the deleted runs were listed (seconds since 1970), and how long it took.
    """

    url: str
    since: datetime | None = None
    covered_since: datetime | None = None
    registry_at: datetime | None = None
    sweep: Sweep = field(default_factory=Sweep)
    full: FullProgress | None = None
    retry: list[str] = field(default_factory=list)
    deleted: tuple[float, float] = (0.0, 0.0)

    @property
    def is_new(self) -> bool:
        """True before the first sync of this server ended."""
        return self.since is None

    def read_again(self, ids: Iterable[str]) -> None:
        """The experiments must be read whole, in this sync or the next."""
        self.retry = sorted({*self.retry, *ids})

    def was_read(self, ids: Iterable[str]) -> None:
        """The experiments were read whole, or there is nothing to read of them."""
        self.retry = sorted({*self.retry} - {*ids})

    @classmethod
    def of(cls, stored: dict[str, Any], url: str) -> Cursor:
        """The stored cursor; a new one for another server, or when it cannot be understood."""
        if stored.get("url") != url:
            return cls(url)
        try:
            return cls(
                url,
                _moment(stored.get("since")),
                _moment(stored.get("covered_since")),
                _moment(stored.get("registry_at")),
                Sweep(**stored.get("sweep") or {}),
                FullProgress(**stored["full"]) if stored.get("full") else None,
                list(stored.get("retry") or []),
                tuple(stored.get("deleted") or (0.0, 0.0)),
            )
        except (TypeError, ValueError):
            return cls(url)

    def as_dict(self) -> dict[str, Any]:
        return {
            "url": self.url,
            "since": self.since and self.since.isoformat(),
            "covered_since": self.covered_since and self.covered_since.isoformat(),
            "registry_at": self.registry_at and self.registry_at.isoformat(),
            "sweep": asdict(self.sweep),
            "full": self.full and asdict(self.full),
            "retry": self.retry,
            "deleted": list(self.deleted),
        }


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
