"""Held-out rows as real HTTP requests to the gateway."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import cycle, islice
from typing import Any

import httpx

CLIENTS = 4


@dataclass(frozen=True)
class Answers:
    """What came back: answers by HTTP status, and the seconds it took."""

    statuses: dict[int, int]
    seconds: float

    @property
    def total(self) -> int:
        return sum(self.statuses.values())


def replay(
    url: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[Any]],
    *,
    requests: int,
    seconds: float = 0.0,
    on_progress: Callable[[int], None] = lambda done: None,
) -> Answers:
    """Send `requests` single-row requests to `url`, spread over at least `seconds`.

    Rows repeat when there are fewer than requests. Raises httpx.HTTPError when the gateway does
    not answer at all; any status that it answers with is counted.
    """
    bodies = [
        json.dumps({"dataframe_split": {"columns": list(columns), "data": [list(row)]}})
        for row in islice(cycle(rows), requests)
    ]
    statuses: Counter[int] = Counter()
    started = time.monotonic()
    pause = seconds / requests if requests else 0.0
    with (
        httpx.Client(timeout=10, headers={"Content-Type": "application/json"}) as client,
        ThreadPoolExecutor(CLIENTS) as pool,
    ):

        def send(number: int) -> int:
            due = started + number * pause
            time.sleep(max(0.0, due - time.monotonic()))
            return client.post(url, content=bodies[number]).status_code

        for done, status in enumerate(pool.map(send, range(requests)), start=1):
            statuses[status] += 1
            if done % 50 == 0:
                on_progress(done)
    return Answers(dict(statuses), time.monotonic() - started)
