"""The lines in which two documents differ, with some around them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher

AROUND = 3


@dataclass(frozen=True)
class Line:
    """`kind` is same, removed, added or gap (lines left out); numbers count from 1."""

    kind: str
    text: str = ""
    old: int | None = None
    new: int | None = None

    @property
    def sign(self) -> str:
        return {"removed": "−", "added": "+"}.get(self.kind, "")


def line_diff(before: str, after: str, around: int = AROUND) -> list[Line]:
    """What turns `before` into `after`; empty when they are the same line by line."""
    old, new = before.splitlines(), after.splitlines()
    found: list[Line] = []
    for group in SequenceMatcher(None, old, new).get_grouped_opcodes(around):
        if found or group[0][1] > 0:
            found.append(Line("gap"))
        for step in group:
            found += _lines(step, old, new)
    return found


def _lines(step: tuple[str, int, int, int, int], old: list[str], new: list[str]) -> Iterator[Line]:
    tag, old_from, old_to, new_from, new_to = step
    if tag == "equal":
        for place in range(old_to - old_from):
            text = old[old_from + place]
            yield Line("same", text, old_from + place + 1, new_from + place + 1)
        return
    for place in range(old_from, old_to):
        yield Line("removed", old[place], old=place + 1)
    for place in range(new_from, new_to):
        yield Line("added", new[place], new=place + 1)
