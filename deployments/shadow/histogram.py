"""A latency histogram with geometric buckets: small, mergeable, quantiles within 1 %."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

# Neighbouring bucket bounds differ by 2 %; a bucket's middle is then within 1 % of what it holds.
_GROWTH = 1.02
_LOG_GROWTH = math.log(_GROWTH)
# 1 µs; everything faster counts as this.
_SMALLEST_MS = 1e-3
# One hour; everything slower counts as this.
_LAST = math.ceil(math.log(3_600_000 / _SMALLEST_MS) / _LOG_GROWTH)


@dataclass
class Histogram:
    """Counts of durations in milliseconds, by bucket index."""

    counts: dict[int, int] = field(default_factory=dict)

    @property
    def total(self) -> int:
        return sum(self.counts.values())

    def add(self, milliseconds: float, times: int = 1) -> None:
        """Count one duration. Raises ValueError for a negative or undefined one."""
        if not milliseconds >= 0:
            raise ValueError(f"A duration is zero or more milliseconds, not {milliseconds}.")
        index = _bucket(milliseconds)
        self.counts[index] = self.counts.get(index, 0) + times

    def merge(self, other: Histogram) -> None:
        """Add all of `other`'s counts."""
        for index, count in other.counts.items():
            self.counts[index] = self.counts.get(index, 0) + count

    def quantile(self, share: float) -> float | None:
        """The duration in ms that at least `share` of the values do not exceed; None when empty.

        Nearest-rank, within 1 % of the exact one.
        """
        if not 0 < share <= 1:
            raise ValueError(f"A quantile's share lies in (0, 1], not {share}.")
        rank = math.ceil(share * self.total - 1e-9)
        seen = 0
        for index in sorted(self.counts):
            seen += self.counts[index]
            if seen >= rank:
                return _middle(index)
        return None

    def bars(self) -> Iterator[tuple[float, float, int]]:
        """(from ms, to ms, count) of every filled bucket, in order; for plots."""
        for index in sorted(self.counts):
            yield _bound(index), _bound(index + 1), self.counts[index]

    def to_json(self) -> dict[str, int]:
        """What `from_json` reads back."""
        return {str(index): self.counts[index] for index in sorted(self.counts)}

    @classmethod
    def from_json(cls, raw: Mapping[str, int]) -> Histogram:
        """Raises ValueError for a document that no histogram wrote."""
        counts = {int(index): int(count) for index, count in raw.items()}
        if any(count < 0 or not 0 <= index <= _LAST for index, count in counts.items()):
            raise ValueError("The histogram holds a bucket or a count that cannot be.")
        return cls(counts)

    @classmethod
    def of(cls, durations: Iterable[float]) -> Histogram:
        """A histogram of `durations` in milliseconds."""
        histogram = cls()
        for duration in durations:
            histogram.add(duration)
        return histogram


def merged(histograms: Iterable[Histogram]) -> Histogram:
    """One histogram with the counts of all."""
    result = Histogram()
    for histogram in histograms:
        result.merge(histogram)
    return result


def _bucket(milliseconds: float) -> int:
    if milliseconds <= _SMALLEST_MS:
        return 0
    return min(_LAST, int(math.log(milliseconds / _SMALLEST_MS) / _LOG_GROWTH))


def _bound(index: int) -> float:
    return _SMALLEST_MS * math.exp(index * _LOG_GROWTH)


def _middle(index: int) -> float:
    """The value whose relative distance to both bounds is the same, 2/(1/low + 1/high)."""
    low, high = _bound(index), _bound(index + 1)
    return 2 * low * high / (low + high)
