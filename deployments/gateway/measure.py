"""Counting what the deployments did, a bucket a deployment and minute."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from deployments.shadow.comparison import Difference
from deployments.shadow.histogram import Histogram


@dataclass
class MinuteCounts:
    """What happened since the last flush, in one minute (Unix time of its start)."""

    deployment: int
    minute: int
    requests: int = 0
    errors: int = 0
    rejected: int = 0
    slow: int = 0
    dropped: int = 0
    compared: int = 0
    disagreements: int = 0
    champion_errors: int = 0
    difference_sum: float = 0.0
    difference_max: float = 0.0
    latency: Histogram = field(default_factory=Histogram)

    def add(self, other: MinuteCounts) -> None:
        """Add the counts of `other`, of the same deployment and minute."""
        for name in (
            "requests",
            "errors",
            "rejected",
            "slow",
            "dropped",
            "compared",
            "disagreements",
            "champion_errors",
            "difference_sum",
        ):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.difference_max = max(self.difference_max, other.difference_max)
        self.latency.merge(other.latency)


class EvidenceSink(Protocol):
    def write(self, counts: Sequence[MinuteCounts]) -> None:
        """Add the counts to what is stored, all or none."""
        ...


class Meter:
    """Counts in memory, thread-safe; `flush` moves them to the sink, and keeps what fails."""

    def __init__(self, sink: EvidenceSink, *, clock: Callable[[], float] = time.time) -> None:
        self._sink = sink
        self._clock = clock
        self._buckets: dict[tuple[int, int], MinuteCounts] = {}
        self._lock = threading.Lock()
        self.problem = ""

    def answered(
        self, deployment: int, seconds: float, *, failed: bool, slow_ms: float | None = None
    ) -> None:
        """One request that the deployment answered, or failed to, in `seconds`."""
        milliseconds = 1000 * seconds
        with self._lock:
            bucket = self._bucket(deployment)
            bucket.requests += 1
            bucket.errors += failed
            bucket.slow += slow_ms is not None and milliseconds >= slow_ms
            bucket.latency.add(milliseconds)

    def rejected(self, deployment: int) -> None:
        """One request that the caller got wrong."""
        with self._lock:
            self._bucket(deployment).rejected += 1

    def dropped(self, deployment: int) -> None:
        """One request that was not mirrored."""
        with self._lock:
            self._bucket(deployment).dropped += 1

    def compared(self, deployment: int, difference: Difference) -> None:
        """Both versions answered; how far apart they were."""
        with self._lock:
            bucket = self._bucket(deployment)
            bucket.compared += 1
            bucket.disagreements += difference.differs
            if math.isfinite(difference.largest):
                bucket.difference_sum += difference.mean
                bucket.difference_max = max(bucket.difference_max, difference.largest)

    def champion_failed(self, deployment: int) -> None:
        """The shadow `deployment` got a request on which the champion failed."""
        with self._lock:
            self._bucket(deployment).champion_errors += 1

    def flush(self) -> int:
        """Write what is counted; what the sink refuses stays for the next time. Rows written."""
        with self._lock:
            taken, self._buckets = self._buckets, {}
        if not taken:
            return 0
        try:
            self._sink.write(list(taken.values()))
        except Exception as error:
            self._restore(taken)
            self.problem = f"Measurements wait to be stored: {type(error).__name__}."
            raise
        self.problem = ""
        return len(taken)

    def _restore(self, taken: dict[tuple[int, int], MinuteCounts]) -> None:
        with self._lock:
            for key, counts in taken.items():
                if key in self._buckets:
                    counts.add(self._buckets[key])
                self._buckets[key] = counts

    def _bucket(self, deployment: int) -> MinuteCounts:
        minute = int(self._clock() // 60 * 60)
        key = (deployment, minute)
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = self._buckets[key] = MinuteCounts(deployment, minute)
        return bucket
