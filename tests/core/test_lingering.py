"""Processes that are kept for the next task: what is said of those that end, or do not."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from e2i_site.core.lingering import Lingering

ROOT = Path(__file__).resolve().parents[2]
HANGS = """
import sys, time
from e2i_site.core.lingering import tasks
for task in tasks(int(sys.argv[1])):
    time.sleep(60)
"""


def _program(code: str) -> Lingering:
    return Lingering([sys.executable, "-c", code], folder=ROOT)


@pytest.mark.parametrize("seconds", [None, 20.0])
def test_who_ends_before_the_task_is_taken_says_how(seconds: float | None) -> None:
    processes = _program("import sys; sys.exit(3)")
    assert processes.run("anything", seconds) == 3
    assert processes.idle == []


def test_who_takes_too_long_is_ended() -> None:
    processes = _program(HANGS)
    with pytest.raises(TimeoutError):
        processes.run("anything", 0.5)
    assert processes.idle == []
