"""How far two versions' answers to the same request are apart."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

# Relative difference below which two numbers are the same answer, computed twice.
SAME = 1e-6


@dataclass(frozen=True)
class Difference:
    """`differs` when any value does; `mean` and `largest` over the numbers, 0 where there are none.

    A label that differs, a missing value and another shape count as different, with `largest`
    infinite for another shape.
    """

    differs: bool
    mean: float
    largest: float


def compare(left: Any, right: Any) -> Difference:
    """Compare predictions as they are in JSON, value by value: numbers, labels, lists, records."""
    distances = list(_distances(left, right))
    numbers = [each for each in distances if each is not None and math.isfinite(each)]
    differs = any(each is None or each > 0 for each in distances)
    if any(each is not None and math.isinf(each) for each in distances):
        return Difference(True, 0.0, math.inf)
    mean = sum(numbers) / len(numbers) if numbers else 0.0
    return Difference(differs, mean, max(numbers, default=0.0))


def _distances(left: Any, right: Any) -> Iterator[float | None]:
    """Per value: the absolute difference of numbers, 0 for equal labels, None for unequal ones."""
    if isinstance(left, list) and isinstance(right, list):
        if len(left) != len(right):
            yield math.inf
            return
        for one, other in zip(left, right, strict=True):
            yield from _distances(one, other)
    elif isinstance(left, dict) and isinstance(right, dict):
        if left.keys() != right.keys():
            yield math.inf
            return
        for key in left:
            yield from _distances(left[key], right[key])
    elif _is_number(left) and _is_number(right):
        yield _distance(left, right)
    else:
        yield 0.0 if left == right else None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _distance(left: float, right: float) -> float | None:
    if math.isnan(left) or math.isnan(right):
        return 0.0 if math.isnan(left) and math.isnan(right) else None
    if math.isclose(left, right, rel_tol=SAME, abs_tol=1e-12):
        return 0.0
    return abs(left - right)
