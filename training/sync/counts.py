"""What a sync did to the rows of one kind."""

from __future__ import annotations

from dataclasses import asdict, dataclass


@dataclass
class Counts:
    """What happened to the rows of one kind. `deleted` ones are marked, never dropped."""

    seen: int = 0
    created: int = 0
    updated: int = 0
    deleted: int = 0
    unchanged: int = 0

    def as_dict(self) -> dict[str, int]:
        return asdict(self)
