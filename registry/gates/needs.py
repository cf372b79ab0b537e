"""What gates need measured beforehand, and what is known of it already."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.utils import timezone

from registry.choices import MeasurementState
from registry.models import RegistryEntry, VersionMeasurement

if TYPE_CHECKING:
    from registry.gates.base import GateContext

# What ended in an error is tried again after this long.
RETRY_AFTER = timedelta(minutes=10)


@dataclass(frozen=True)
class Want:
    """One question about a version's bytes: `kind` as in `registry.measuring.base`.

    `against` is the other version it is about. An answer older than `renew_after` is sought anew.
    """

    kind: str
    specification: Mapping[str, Any] = field(default_factory=dict)
    against: RegistryEntry | None = None
    renew_after: timedelta | None = None

    def key(self, entry: RegistryEntry) -> str:
        """SHA-256 of the question about these bytes of `entry`."""
        question = {
            "kind": self.kind,
            "digest": entry.artifact_digest,
            "against": self.against.artifact_digest if self.against else "",
            "specification": self.specification,
        }
        return hashlib.sha256(json.dumps(question, sort_keys=True).encode()).hexdigest()


Needs = Callable[["GateContext"], Iterable[Want]]


class Book:
    """All measurements of one version, read once."""

    def __init__(self, entry: RegistryEntry) -> None:
        self._entry = entry
        self._rows: dict[str, VersionMeasurement] | None = None

    def find(self, want: Want) -> VersionMeasurement | None:
        """The answer to `want` on the version's present bytes, whatever its age."""
        if self._rows is None:
            self._rows = {row.key: row for row in self._entry.measurements.all()}
        return self._rows.get(want.key(self._entry))

    def is_due(self, want: Want, now: datetime | None = None) -> bool:
        """Whether `want` has no answer, an old one, or an error that is to be tried again."""
        row = self.find(want)
        if row is None:
            return True
        age = (now or timezone.now()) - row.measured_at
        if row.state == MeasurementState.ERROR:
            return age > RETRY_AFTER
        return want.renew_after is not None and age > want.renew_after

    def due(self, wants: Iterable[Want]) -> Iterator[Want]:
        """The wants that have to be measured, each question once."""
        seen = set()
        for want in wants:
            key = want.key(self._entry)
            if key not in seen and self.is_due(want):
                seen.add(key)
                yield want
