"""The parts of one gateway process, and how it answers one request."""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass, field
from functools import partial
from random import random

from deployments.gateway.columns import BadRequest
from deployments.gateway.measure import Meter
from deployments.gateway.mirror import Copy, Mirror
from deployments.gateway.model_host import answer
from deployments.gateway.protocol import UnsupportedMediaType, parse
from deployments.gateway.routes import Endpoint, Refresher, RouteTable, Served, Target
from deployments.gateway.slots import Busy, Overdue, Slots

logger = logging.getLogger(__name__)


class ModelFailed(Exception):
    """The model did not answer valid input: `status` 500 for an error, 504 for too slow."""

    def __init__(self, message: str, target: Target, status: int = 500) -> None:
        super().__init__(message)
        self.target = target
        self.status = status


class NotServing(Exception):
    """Nothing answers here now. `headers` say what was done with the request.

    `refused` is for a model that cannot be loaded, as opposed to one that is not there yet.
    """

    def __init__(
        self, message: str, headers: dict[str, str] | None = None, *, refused: bool = False
    ) -> None:
        super().__init__(message)
        self.headers = headers or {}
        self.refused = refused


@dataclass(frozen=True)
class Limits:
    """What one request may take. Beyond `waiting` for one model, callers are told to retry.

    A request waits at most `predict_seconds` for a thread, and its answer takes at most as long.
    """

    body_bytes: int = 10_000_000
    body_seconds: float = 20.0
    predict_seconds: float = 30.0
    threads: int = 2  # of one model; more only contend for the interpreter: 4 doubled p99 at 8
    all_threads: int = 3  # so that one model never takes all
    waiting: int = 512


@dataclass
class Gateway:
    """`key` opens the checks of single deployments; `instance` names the process."""

    table: RouteTable
    meter: Meter
    mirror: Mirror
    key: str
    instance: str
    limits: Limits = field(default_factory=Limits)
    refreshers: tuple[Refresher, ...] = ()
    started_at: float = field(default_factory=time.time)

    def __post_init__(self) -> None:
        self._slots = Slots(
            each=self.limits.threads, total=self.limits.all_threads, waiting=self.limits.waiting
        )

    def start(self) -> None:
        """Load the routes once, then keep everything going in threads."""
        self.mirror.start()
        self.table.refresh()
        for refresher in self.refreshers:
            refresher.start()

    def stop(self) -> None:
        """Finish what was mirrored and store what was measured."""
        self.mirror.stop()
        for refresher in self.refreshers:
            refresher.stop()
        try:
            self.meter.flush()
        except Exception:
            logger.exception("The last measurements are lost")
        self._slots.close()

    def problems(self) -> list[str]:
        """What is wrong right now, in sentences; empty when all is well."""
        found = [self.table.problem or self.table.stale(), self.meter.problem]
        found += [
            f"{endpoint.name}, deployment {target.deployment}: {reason}"
            for endpoint in self.table.all()
            for target in endpoint.wanted
            if (reason := self.table.failure(target))
        ]
        return [each for each in found if each]

    async def serve(
        self, endpoint: Endpoint, body: bytes, content_type: str
    ) -> tuple[Target, bytes, dict[str, str]]:
        """(who answered, the response body, headers about the mirror, or a canary passed over).

        The active version answers and the shadow version gets a copy, once the answer is there.
        A canary answers its share; what it cannot answer, the active version does. Raises
        BadRequest, UnsupportedMediaType, ModelFailed, Busy or NotServing.
        """
        if endpoint.active is None:
            raise await self._not_serving(endpoint, body, content_type)
        canary = endpoint.canary
        if canary is None or 100 * random() >= canary.target.share:  # noqa: S311  no secret
            return await self._active(endpoint, endpoint.active, body, content_type)
        started, refused = time.perf_counter(), 0.0
        try:
            # No copy of it: the shadow there is the canary's own version.
            return canary.target, await self._measured(canary, body, content_type), {}
        except (BadRequest, UnsupportedMediaType):
            # By the caller's fault, unless the active version takes it.
            refused = time.perf_counter() - started
        except (ModelFailed, Busy):
            pass
        target, content, more = await self._active(endpoint, endpoint.active, body, content_type)
        if refused:
            self.meter.answered(canary.target.deployment, refused, failed=True)
        return target, content, {**more, "E2I-Canary": "passed over"}

    async def _active(
        self, endpoint: Endpoint, active: Served, body: bytes, content_type: str
    ) -> tuple[Target, bytes, dict[str, str]]:
        try:
            content = await self._measured(active, body, content_type)
        except (BadRequest, UnsupportedMediaType):
            self.meter.rejected(active.target.deployment)
            raise
        except ModelFailed:
            self._copy(endpoint, body, content_type, champion_failed=True)
            raise
        return active.target, content, self._copy(endpoint, body, content_type, champion=content)

    async def _measured(self, served: Served, body: bytes, content_type: str) -> bytes:
        """Its answer, counted as traffic; what the caller got wrong, and Busy, are not."""
        started = time.perf_counter()
        try:
            content = await self.predict(served, body, content_type)
        except ModelFailed:
            seconds = time.perf_counter() - started
            self.meter.answered(served.target.deployment, seconds, failed=True)
            raise
        seconds = time.perf_counter() - started
        self.meter.answered(served.target.deployment, seconds, failed=False)
        return content

    async def predict(self, served: Served, body: bytes, content_type: str) -> bytes:
        """The answer of one deployment, in a thread. Counts nothing."""
        seconds = self.limits.predict_seconds
        call = partial(answer, served.model, body, content_type)
        try:
            return await self._slots.run(served.model.digest, call, seconds)
        except (BadRequest, UnsupportedMediaType, Busy):
            raise
        except Overdue:
            message = f"The model did not answer within {seconds:g} s."
            raise ModelFailed(message, served.target, 504) from None
        except Exception as error:
            logger.exception("Deployment %s failed to predict", served.target.deployment)
            message = f"The model failed: {type(error).__name__}: {error}"
            raise ModelFailed(message[:500], served.target) from error

    async def _not_serving(self, endpoint: Endpoint, body: bytes, content_type: str) -> NotServing:
        if endpoint.shadow is None:
            return NotServing(endpoint.why_silent())
        signature = endpoint.shadow.model.signature
        await asyncio.to_thread(parse, body, content_type, signature)
        return NotServing(
            f"No version is active at {endpoint.name!r}; a shadow version is, and measures this "
            "request without answering it.",
            self._copy(endpoint, body, content_type),
        )

    def _copy(
        self,
        endpoint: Endpoint,
        body: bytes,
        content_type: str,
        *,
        champion: bytes | None = None,
        champion_failed: bool = False,
    ) -> dict[str, str]:
        if endpoint.shadow is None:
            return {}
        copy = Copy(endpoint.shadow, body, content_type, champion, champion_failed)
        return {"E2I-Mirrored": "shadow" if self.mirror.offer(copy) else "dropped"}
