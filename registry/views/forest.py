"""Two intervals of one metric above each other, as geometry for a small drawing."""

from __future__ import annotations

from dataclasses import dataclass

from registry.comparison import Comparison, MetricRow
from training.metrics import Interval

WIDTH = 150
_EDGE = 6


@dataclass(frozen=True)
class Whisker:
    """Positions of an interval and its value, in drawing units."""

    low: float
    high: float
    value: float


@dataclass(frozen=True)
class Forest:
    candidate: Whisker
    baseline: Whisker | None
    width: int = WIDTH


def with_forests(comparison: Comparison) -> list[tuple[MetricRow, Forest | None]]:
    """The key metrics, each with its drawing."""
    return [(row, forest(row)) for row in comparison.key_metrics]


def forest(row: MetricRow) -> Forest | None:
    """The drawing of a metric; None where the candidate has no interval."""
    if row.candidate is None or row.candidate.low is None:
        return None
    sides = [row.candidate, *([row.baseline] if row.baseline else [])]
    values = [v for side in sides for v in (side.value, side.low, side.high) if v is not None]
    start, span = min(values), (max(values) - min(values)) or 1.0

    def at(value: float) -> float:
        return round(_EDGE + (value - start) / span * (WIDTH - 2 * _EDGE), 1)

    def whisker(side: Interval) -> Whisker:
        low, high = (side.value if end is None else end for end in (side.low, side.high))
        return Whisker(at(low), at(high), at(side.value))

    return Forest(whisker(row.candidate), whisker(row.baseline) if row.baseline else None)
