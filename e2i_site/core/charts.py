"""Data of a time or step chart: what uPlot draws, and what the table behind it shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

Number = float | int | None


@dataclass(frozen=True)
class Series:
    """One line. `values` has a place for each x; None is a gap."""

    label: str
    values: Sequence[Number]


@dataclass(frozen=True)
class Limit:
    """A horizontal line that values should not cross."""

    label: str
    value: float


@dataclass(frozen=True)
class Mark:
    """A vertical line at `x` (a time or a number) where something was decided."""

    x: datetime | float
    label: str


@dataclass(frozen=True)
class LineChart:
    """`x` are datetimes (aware) or numbers in ascending order; `unit` is that of the y values.

    `low` draws it less high, `log` on a logarithmic scale, for values above 0 that lie far apart.
    """

    title: str
    x: Sequence[datetime] | Sequence[float] | Sequence[int]
    series: Sequence[Series]
    unit: str = ""
    x_label: str = ""
    step: bool = False
    low: bool = False
    log: bool = False
    limits: Sequence[Limit] = ()
    marks: Sequence[Mark] = ()
    note: str = ""
    name: str = field(default="")

    def __post_init__(self) -> None:
        for series in self.series:
            if len(series.values) != len(self.x):
                raise ValueError(
                    f"{series.label}: {len(series.values)} values for {len(self.x)} places on x."
                )

    @property
    def is_time(self) -> bool:
        return bool(self.x) and isinstance(self.x[0], datetime)

    def as_json(self) -> dict[str, Any]:
        """What the browser draws from; times as seconds since 1970."""
        return {
            "x": [_position(x) for x in self.x],
            "series": [{"label": s.label, "values": list(s.values)} for s in self.series],
            "time": self.is_time,
            "unit": self.unit,
            "x_label": self.x_label,
            "step": self.step,
            "log": self.log,
            "limits": [{"label": limit.label, "value": limit.value} for limit in self.limits],
            "marks": [{"x": _position(mark.x), "label": mark.label} for mark in self.marks],
        }

    @property
    def rows(self) -> list[list[Any]]:
        """One row an x, for the table behind the plot."""
        columns = [self.x, *(series.values for series in self.series)]
        return [list(row) for row in zip(*columns, strict=True)]


def _position(x: datetime | float) -> float:
    return x.timestamp() if isinstance(x, datetime) else x
