"""Calls in threads: a model that hangs takes no thread of the others and no blame for them."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import pytest

from deployments.gateway.slots import Busy, Overdue, Slots

LONG = 5.0


def run(scenario: Callable[[threading.Event], Awaitable[None]]) -> None:
    """Run the scenario; what hangs until the event is let go at its end."""
    event = threading.Event()
    try:
        asyncio.run(asyncio.wait_for(scenario(event), 10))
    finally:
        event.set()


async def until(condition: Callable[[], Any]) -> None:
    while not condition():
        await asyncio.sleep(0.005)


async def outcome(call: Awaitable[Any]) -> Any:
    try:
        return await call
    except (Busy, Overdue) as error:
        return type(error)


def test_a_hanging_model_leaves_a_thread_to_the_others() -> None:
    async def scenario(event: threading.Event) -> None:
        slots = Slots(each=2, total=3, waiting=100)
        hanging = [asyncio.create_task(slots.run("a", event.wait, LONG)) for _ in range(20)]
        await asyncio.sleep(0.01)
        answers = [await slots.run("b", partial(int, "7"), LONG) for _ in range(20)]
        assert answers == [7] * 20
        event.set()
        assert await asyncio.gather(*hanging) == [True] * 20

    run(scenario)


def test_waiting_for_a_thread_is_nobodys_failure_and_does_not_shorten_the_call() -> None:
    async def scenario(event: threading.Event) -> None:
        slots = Slots(each=1, total=1, waiting=100)
        first = asyncio.create_task(slots.run("a", event.wait, LONG))
        await asyncio.sleep(0.01)
        started = []
        with pytest.raises(Busy):
            await slots.run("b", partial(started.append, 1), 0.05)
        assert started == []
        slow = asyncio.create_task(slots.run("b", partial(time.sleep, 0.35), 0.6))
        await asyncio.sleep(0.35)
        event.set()
        assert await first
        assert await slow is None

    run(scenario)


def test_what_is_overdue_keeps_its_place_until_the_thread_is_done() -> None:
    async def scenario(event: threading.Event) -> None:
        slots = Slots(each=1, total=1, waiting=100)
        calls = [slots.run("a", event.wait, 0.05) for _ in range(3)]
        assert [await outcome(each) for each in calls] == [Overdue] * 3
        # Another thread took over: the others are answered while the first hangs.
        assert await slots.run("b", partial(int, "7"), LONG) == 7
        event.set()
        await until(lambda: not slots._models["a"].overdue)
        assert await slots.run("a", partial(int, "8"), LONG) == 8
        assert slots._free._value == 1

    run(scenario)


def test_calls_that_wait_behind_overdue_ones_are_the_models_failure() -> None:
    async def scenario(event: threading.Event) -> None:
        slots = Slots(each=2, total=3, waiting=100)
        found = await asyncio.gather(
            *(outcome(slots.run("a", event.wait, 0.05)) for _ in range(2)),
            *(outcome(slots.run("a", event.wait, 0.2)) for _ in range(5)),
        )
        assert found == [Overdue] * 7

    run(scenario)


def test_each_model_has_its_own_limit_of_waiting_calls() -> None:
    async def scenario(event: threading.Event) -> None:
        slots = Slots(each=1, total=2, waiting=3)
        waiting = [asyncio.create_task(slots.run("a", event.wait, LONG)) for _ in range(3)]
        await asyncio.sleep(0)
        assert await outcome(slots.run("a", event.wait, LONG)) is Busy
        assert await slots.run("b", partial(int, "7"), LONG) == 7
        event.set()
        await asyncio.gather(*waiting)

    run(scenario)


def test_what_a_call_raises_is_raised() -> None:
    async def scenario(event: threading.Event) -> None:
        slots = Slots(each=1, total=1, waiting=3)
        for _ in range(3):
            with pytest.raises(ValueError, match="x"):
                await slots.run("a", partial(int, "x"), LONG)

    run(scenario)


def test_many_hanging_models_never_take_more_threads_than_there_are() -> None:
    async def scenario(event: threading.Event) -> None:
        slots = Slots(each=1, total=1, waiting=3)
        found = [await outcome(slots.run(f"{each}", event.wait, 0.01)) for each in range(20)]
        assert found == [Overdue] * 17 + [Busy] * 3

    run(scenario)
