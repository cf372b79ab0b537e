"""Answers are compared value by value, whatever form they have in JSON."""

from __future__ import annotations

import math
from typing import Any

import pytest

from deployments.shadow.comparison import Difference, compare


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        ([1.0, 2.0], [1.0, 2.5], Difference(True, 0.25, 0.5)),
        ([1.0], [1.0 + 1e-9], Difference(False, 0.0, 0.0)),
        ({"mean": [1.0, 2.0], "label": ["a", "b"]}, {"mean": [1, 2], "label": ["a", "b"]}, None),
        ([{"p": [0.25, 0.75]}], [{"p": [0.5, 0.5]}], Difference(True, 0.25, 0.25)),
        ([None, "a"], [None, "a"], None),
        ([None], [1.0], Difference(True, 0.0, 0.0)),
        (["yes"], ["no"], Difference(True, 0.0, 0.0)),
        ([1.0], [1.0, 2.0], Difference(True, 0.0, math.inf)),
        ({"a": 1}, {"b": 1}, Difference(True, 0.0, math.inf)),
    ],
)
def test_compare(left: Any, right: Any, expected: Difference | None) -> None:
    assert compare(left, right) == (expected or Difference(False, 0.0, 0.0))
