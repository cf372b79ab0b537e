"""Copies of requests for shadow deployments, answered apart from the callers' answers."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from dataclasses import dataclass

from deployments.gateway.columns import BadRequest
from deployments.gateway.measure import Meter
from deployments.gateway.model_host import answer
from deployments.gateway.protocol import UnsupportedMediaType, read_predictions
from deployments.gateway.routes import Served
from deployments.shadow.comparison import compare

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Copy:
    """One request for a shadow. `champion` is what the active version answered, if it did.

    `champion_failed` says that there was an active version and it failed.
    """

    shadow: Served
    body: bytes
    content_type: str
    champion: bytes | None = None
    champion_failed: bool = False

    @property
    def was_accepted(self) -> bool:
        """Whether an active version took the request as one that it could answer."""
        return self.champion is not None or self.champion_failed


class Mirror:
    """A bounded queue and the threads that empty it. `offer` never waits.

    A full queue drops the copy and counts it: the verdict treats dropped requests as missing.
    """

    def __init__(
        self, meter: Meter, *, copies: int = 2000, megabytes: float = 64, threads: int = 1
    ) -> None:
        self._meter = meter
        self._most_copies = copies
        self._most_bytes = int(megabytes * 1_000_000)
        self._queue: deque[Copy] = deque()
        self._bytes = 0
        self._busy = 0
        self._over = False
        self._changed = threading.Condition()
        self._threads = [
            threading.Thread(target=self._work, name=f"mirror-{number}", daemon=True)
            for number in range(threads)
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self, *, seconds: float = 5) -> None:
        """Finish what is queued, for at most `seconds`; count the rest as dropped."""
        with self._changed:
            self._changed.wait_for(lambda: not self._queue and not self._busy, timeout=seconds)
            self._over = True
            for copy in self._queue:
                self._meter.dropped(copy.shadow.target.deployment)
            self._queue.clear()
            self._changed.notify_all()

    @property
    def queued(self) -> int:
        return len(self._queue)

    def offer(self, copy: Copy) -> bool:
        """Queue the copy; False, and counted as dropped, where there is no room."""
        with self._changed:
            room = len(self._queue) < self._most_copies
            if not self._over and room and self._bytes + len(copy.body) <= self._most_bytes:
                self._queue.append(copy)
                self._bytes += len(copy.body)
                self._changed.notify()
                return True
        self._meter.dropped(copy.shadow.target.deployment)
        return False

    def _work(self) -> None:
        while (copy := self._next()) is not None:
            try:
                self._answer(copy)
            except Exception:
                logger.exception("A mirrored request could not be measured")
                self._meter.dropped(copy.shadow.target.deployment)
            with self._changed:
                self._busy -= 1
                self._changed.notify_all()

    def _next(self) -> Copy | None:
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._over)
            if self._over:
                return None
            copy = self._queue.popleft()
            self._bytes -= len(copy.body)
            self._busy += 1
            return copy

    def _answer(self, copy: Copy) -> None:
        """Let the shadow answer, and measure it as a caller would have seen it.

        A request that the active version accepts and the shadow's signature refuses is the
        shadow's error: it could not have taken over. Without an active version it is the caller's.
        """
        target = copy.shadow.target
        started = time.perf_counter()
        content, failed = b"", False
        try:
            content = answer(copy.shadow.model, copy.body, copy.content_type)
        except (BadRequest, UnsupportedMediaType) as error:
            if not copy.was_accepted:
                self._meter.rejected(target.deployment)
                return
            failed = True
            logger.info("Shadow deployment %s refuses a request: %s", target.deployment, error)
        except Exception as error:
            failed = True
            logger.info("Shadow deployment %s failed: %s", target.deployment, type(error).__name__)
        seconds = time.perf_counter() - started
        self._meter.answered(target.deployment, seconds, failed=failed, slow_ms=target.slow_ms)
        if copy.champion_failed:
            self._meter.champion_failed(target.deployment)
        elif copy.champion is not None and not failed:
            self._compare(target.deployment, copy.champion, content)

    def _compare(self, deployment: int, champion: bytes, shadow: bytes) -> None:
        """Compare what was sent. The request is measured already, whatever comes of this."""
        try:
            difference = compare(read_predictions(champion), read_predictions(shadow))
        except Exception:
            logger.exception("Answers of deployment %s cannot be compared", deployment)
            return
        self._meter.compared(deployment, difference)
