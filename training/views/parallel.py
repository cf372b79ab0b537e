"""Parallel coordinates: one line a run, one axis a parameter or metric that differs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from training.comparison import Comparison, Row
from training.models import TrainingRun

WIDTH, HEIGHT = 960, 240
LEFT, RIGHT, TOP, BOTTOM = 60, 60, 44, 24
MOST_PARAMETERS = 5
MOST_METRICS = 3
STYLES = 5
# Directions that an axis can show as up.
DRAWN = ("higher", "lower")


@dataclass(frozen=True)
class Axis:
    """A vertical line at `x`. Larger values are above; of metrics, better ones."""

    label: str
    x: int
    low: str
    high: str
    flipped: bool = False


@dataclass(frozen=True)
class Line:
    """One run: an SVG path that has gaps where a value is missing, and its points."""

    run: TrainingRun
    style: str
    path: str
    points: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Parallel:
    axes: tuple[Axis, ...]
    lines: tuple[Line, ...]
    width: int = WIDTH
    height: int = HEIGHT
    top: int = TOP
    bottom: int = HEIGHT - BOTTOM


def parallel(comparison: Comparison) -> Parallel | None:
    """The drawing, parameters first and test metrics last; None with fewer than two axes."""
    parameters = [row for row in comparison.parameters if _is_axis(row)][:MOST_PARAMETERS]
    measured = [row for row in comparison.metrics if _is_axis(row) and row.direction in DRAWN]
    rows = [*parameters, *measured[:MOST_METRICS]]
    if len(rows) < 2:
        return None
    step = (WIDTH - LEFT - RIGHT) / (len(rows) - 1)
    axes = tuple(_axis(row, round(LEFT + number * step)) for number, row in enumerate(rows))
    lines = tuple(_line(run, n, rows, axes) for n, run in enumerate(comparison.runs))
    return Parallel(axes, lines)


def _is_axis(row: Row) -> bool:
    """Numbers that at least two runs have and that differ."""
    return len(set(_numbers(row))) > 1


def _numbers(row: Row) -> list[float]:
    return [number for cell in row.cells if (number := _number(cell.value)) is not None]


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def _axis(row: Row, x: int) -> Axis:
    values = _numbers(row)
    ends = (f"{min(values):.4g}", f"{max(values):.4g}")
    flipped = row.direction == "lower"
    low, high = reversed(ends) if flipped else ends
    return Axis(row.label, x, low, high, flipped)


def _line(run: TrainingRun, number: int, rows: Sequence[Row], axes: Sequence[Axis]) -> Line:
    commands, points, pen = [], [], False
    for row, axis in zip(rows, axes, strict=True):
        value = _number(row.cells[number].value)
        if value is None:
            pen = False
            continue
        y = _height(value, _numbers(row), axis.flipped)
        commands.append(f"{'L' if pen else 'M'}{axis.x} {y}")
        points.append((axis.x, y))
        pen = True
    return Line(run, f"s{number % STYLES + 1}", "".join(commands), tuple(points))


def _height(value: float, values: Sequence[float], flipped: bool) -> int:
    share = (value - min(values)) / (max(values) - min(values))
    return round(HEIGHT - BOTTOM - (1 - share if flipped else share) * (HEIGHT - TOP - BOTTOM))
