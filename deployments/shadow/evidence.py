"""What was measured in a shadow window, and the limits that were frozen before it opened."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime, timedelta
from typing import Any

from deployments.shadow.histogram import Histogram
from e2i_site.core.errors import InvalidInput


@dataclass(frozen=True)
class ShadowLimits:
    """What a shadow version must show. Hours, requests, a share of requests, milliseconds.

    `alpha` is the chance of a wrong pass that is accepted, over all looks together. With
    `sequential` off only the floors decide: for demonstrations, and the verdict says so.
    """

    hours: float = 24.0
    requests: int = 1000
    error_rate: float = 0.01
    p99_ms: float = 150.0
    alpha: float = 0.05
    sequential: bool = True

    def __post_init__(self) -> None:
        if self.hours < 0 or self.requests < 1 or self.p99_ms <= 0:
            raise InvalidInput("A shadow window needs hours ≥ 0, requests ≥ 1 and a p99 above 0.")
        if not (0 < self.error_rate < 1 and 0 < self.alpha < 1):
            raise InvalidInput("The error rate's limit and alpha are shares between 0 and 1.")

    def to_json(self) -> dict[str, Any]:
        """What `from_json` reads back."""
        return asdict(self)

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> ShadowLimits:
        """Raises InvalidInput for an unknown or missing name: a policy is never half read."""
        names = {each.name for each in fields(cls)}
        if set(raw) != names:
            wrong = ", ".join(sorted(names.symmetric_difference(raw)))
            raise InvalidInput(f"The limits of a shadow window do not fit at: {wrong}.")
        return cls(**raw)


@dataclass(frozen=True)
class Minute:
    """One minute of mirrored requests.

    `requests` were answered or failed; `errors` of them failed, `slow` of them took the limit or
    longer. `dropped` more were not measured, because the mirror's queue was full.
    """

    start: datetime
    requests: int
    errors: int
    slow: int
    dropped: int = 0


@dataclass(frozen=True)
class ShadowEvidence:
    """Everything measured from `opened_at` to `until`, minutes in order.

    `void` says why the window does not count (a changed digest, for example).
    """

    opened_at: datetime
    until: datetime
    minutes: tuple[Minute, ...] = ()
    latency: Histogram = field(default_factory=Histogram)
    void: str = ""

    @property
    def elapsed(self) -> timedelta:
        return max(self.until - self.opened_at, timedelta(0))

    @property
    def requests(self) -> int:
        return sum(minute.requests for minute in self.minutes)

    @property
    def errors(self) -> int:
        return sum(minute.errors for minute in self.minutes)

    @property
    def slow(self) -> int:
        return sum(minute.slow for minute in self.minutes)

    @property
    def dropped(self) -> int:
        return sum(minute.dropped for minute in self.minutes)

    @property
    def last_request(self) -> datetime | None:
        """The last minute in which a request was measured."""
        return max((minute.start for minute in self.minutes if minute.requests), default=None)

    @property
    def requests_per_hour(self) -> float:
        """The present rate: of the last hour, or of the whole window while it is younger."""
        span = min(self.elapsed, timedelta(hours=1))
        if not span:
            return 0.0
        recent = sum(m.requests for m in self.minutes if m.start >= self.until - span)
        return recent / (span / timedelta(hours=1))
