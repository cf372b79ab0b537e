"""Threads that predict: so many at once, so many of them for one model, and what hangs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

T = TypeVar("T")

# Threads that overdue calls may keep before they are missing to the other models.
MOST_OVERDUE = 16


class Busy(Exception):
    """The gateway has no thread for the request now. It says nothing about the model."""


class Overdue(Exception):
    """The model was asked, and does not answer in time."""


@dataclass
class _Model:
    """One model's share of the threads. `overdue` are calls that nobody waits for any more."""

    free: asyncio.Semaphore
    waiting: int = 0
    overdue: int = 0


@dataclass
class _Call:
    """A call in a thread. It holds one of its model's places until the thread is done with it.

    `replaced` says that another thread was let in for the overdue one.
    """

    model: _Model
    overdue: bool = False
    replaced: bool = False


class Slots:
    """Runs calls in at most `total` threads, at most `each` of them for one model.

    No call can be stopped. One that is overdue keeps its model's place, so that a model which
    hangs is given no more than `each` threads, and another thread takes over for the others.
    To be used in one event loop.
    """

    def __init__(self, *, each: int, total: int, waiting: int) -> None:
        self._each = each
        self._most_waiting = waiting
        self._free = asyncio.Semaphore(total)
        self._replaced = 0
        self._models: dict[str, _Model] = {}
        self._pool = ThreadPoolExecutor(total + MOST_OVERDUE, thread_name_prefix="predict")

    def close(self) -> None:
        """Start nothing more; wait for nothing."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def run(self, digest: str, function: Callable[[], T], seconds: float) -> T:
        """What `function` returns or raises: `seconds` to find a thread, as many to answer.

        Raises Busy where it was not started for want of a thread, and Overdue where it did not
        answer, or was not started because the model's own overdue calls hold all its places.
        """
        model = self._models.get(digest)
        if model is None:
            model = self._models[digest] = _Model(asyncio.Semaphore(self._each))
        if self._hangs(model):
            raise Overdue
        if model.waiting >= self._most_waiting:
            raise Busy
        model.waiting += 1
        try:
            await self._enter(model, seconds)
            return await self._answer(model, function, seconds)
        finally:
            model.waiting -= 1

    def _hangs(self, model: _Model) -> bool:
        return model.overdue >= self._each

    async def _enter(self, model: _Model, seconds: float) -> None:
        """Take a place of the model, then one of all: a busy model keeps no other waiting."""
        try:
            async with asyncio.timeout(seconds):
                await model.free.acquire()
                try:
                    await self._free.acquire()
                except BaseException:
                    model.free.release()
                    raise
        except TimeoutError:
            raise (Overdue if self._hangs(model) else Busy) from None

    async def _answer(self, model: _Model, function: Callable[[], T], seconds: float) -> T:
        call = _Call(model)
        future = asyncio.wrap_future(self._pool.submit(function))
        future.add_done_callback(partial(self._leave, call))
        await asyncio.wait({future}, timeout=seconds)
        if future.done():
            return future.result()
        call.overdue = True
        model.overdue += 1
        if self._replaced < MOST_OVERDUE:
            call.replaced = True
            self._replaced += 1
            self._free.release()
        raise Overdue

    def _leave(self, call: _Call, future: asyncio.Future[Any]) -> None:
        """The thread is done, in time or not."""
        call.model.free.release()
        call.model.overdue -= call.overdue
        if call.replaced:
            self._replaced -= 1
        else:
            self._free.release()
        if not future.cancelled():
            future.exception()  # looked at, so that a late failure is not reported as overlooked
