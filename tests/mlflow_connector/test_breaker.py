"""The circuit breaker, by its rules and under threads."""

from __future__ import annotations

import json
import threading
from contextlib import AbstractContextManager

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from e2i_site.mlflow_connector import breaker as module
from e2i_site.mlflow_connector.breaker import Breaker, BreakerData, MemoryStore
from e2i_site.mlflow_connector.errors import NotFound, Rejected, Unreachable


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def call(breaker: Breaker, error: BaseException | None = None) -> str:
    """One guarded call: "ran", or "refused" when the breaker did not let it through."""
    ran = False
    try:
        with breaker.guard():
            ran = True
            if error:
                raise error
    except (Unreachable, NotFound, Rejected, ValueError):
        pass
    return "ran" if ran else "refused"


def broken(breaker: Breaker) -> Breaker:
    for _ in range(module.FAILURES_TO_OPEN):
        call(breaker, Unreachable("no route"))
    return breaker


def test_opens_after_five_failures_in_a_row() -> None:
    breaker = Breaker(clock=Clock())
    for _ in range(4):
        call(breaker, Unreachable("no route"))
    call(breaker)
    for _ in range(4):
        call(breaker, Unreachable("no route"))
    assert breaker.snapshot().state == "closed"
    call(breaker, Unreachable("no route"))
    snapshot = breaker.snapshot()
    assert (snapshot.state, snapshot.openings[-1].reason) == ("open", "no route")
    assert call(breaker) == "refused"
    assert breaker.snapshot().refused == 1


@pytest.mark.parametrize(
    "error", [NotFound("x"), Rejected("x"), ValueError("ours"), Unreachable("busy", counted=False)]
)
def test_answers_and_own_errors_never_open_it(error: Exception) -> None:
    breaker = Breaker(clock=Clock())
    for _ in range(20):
        assert call(breaker, error) == "ran"
    assert breaker.snapshot().state == "closed"


def test_own_errors_do_not_hide_failures_either() -> None:
    breaker = Breaker(clock=Clock())
    for _ in range(5):
        call(breaker, Unreachable("no route"))
        call(breaker, ValueError("ours"))
    assert breaker.snapshot().state == "open"


def test_recovers_by_two_successes() -> None:
    clock = Clock()
    breaker = broken(Breaker(clock=clock))
    clock.now += 29.9
    assert call(breaker) == "refused"
    clock.now += 0.2
    assert call(breaker) == "ran"
    assert breaker.snapshot().state == "half_open"
    assert call(breaker, Rejected("a 4xx is an answer")) == "ran"
    snapshot = breaker.snapshot()
    assert snapshot.state == "closed"
    assert snapshot.openings[-1].closed_at == clock.now


def test_one_failed_trial_opens_it_again() -> None:
    clock = Clock()
    breaker = broken(Breaker(clock=clock))
    clock.now += 31
    call(breaker)
    call(breaker, Unreachable("still away"))
    snapshot = breaker.snapshot()
    assert (snapshot.state, snapshot.openings_total) == ("open", 1)
    assert snapshot.retry_after == pytest.approx(30)


def test_a_dead_process_gives_its_trial_back() -> None:
    clock = Clock()
    breaker = broken(Breaker(clock=clock))
    clock.now += 31
    stuck = [breaker.guard() for _ in range(3)]
    for each in stuck:
        each.__enter__()
    assert call(breaker) == "refused"
    clock.now += module.TRIAL_SECONDS
    assert call(breaker) == "ran"


def test_late_outcomes_of_an_earlier_state_do_not_count() -> None:
    clock = Clock()
    breaker = Breaker(clock=clock)
    late = breaker.guard()
    late.__enter__()
    broken(breaker)
    clock.now += 31
    call(breaker)
    call(breaker)
    assert breaker.snapshot().state == "closed"
    late.__exit__(Unreachable, Unreachable("from long ago"), None)
    assert breaker.snapshot().failures == 0


def test_success_while_closed_writes_nothing() -> None:
    class Counting(MemoryStore):
        writes = 0

        def update(self, change):  # type: ignore[no-untyped-def]
            self.writes += 1
            return super().update(change)

    store = Counting()
    breaker = Breaker(store, Clock())
    for _ in range(10):
        call(breaker)
    assert store.writes == 0


def test_data_survives_json() -> None:
    breaker = broken(Breaker(clock=Clock()))
    data = breaker.store.read()
    assert BreakerData.from_dict(json.loads(json.dumps(data.as_dict()))) == data
    assert BreakerData.from_dict({}) == BreakerData()


def test_three_trials_at_once_however_many_ask() -> None:
    clock = Clock()
    breaker = broken(Breaker(clock=clock))
    clock.now += 31
    start, leave = threading.Barrier(24), threading.Event()
    inside: list[int] = []

    def ask(number: int) -> None:
        start.wait()
        try:
            with breaker.guard():
                inside.append(number)
                leave.wait(10)
        except Unreachable:
            pass

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(24)]
    for thread in threads:
        thread.start()
    while sum(thread.is_alive() for thread in threads) > 3:
        leave.wait(0.01)
    assert len(inside) == 3
    leave.set()
    for thread in threads:
        thread.join()
    assert breaker.snapshot().state == "closed"


class Machine(RuleBasedStateMachine):
    """Overlapping calls against the rules, which are kept here in the plainest way."""

    calls = Bundle("calls")

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.breaker = Breaker(clock=self.clock)
        self.trials: set[int] = set()
        self.begun = 0

    @property
    def state(self) -> str:
        return self.breaker.store.read().state

    @rule(target=calls)
    def begin(self) -> tuple[int, AbstractContextManager[None], int] | None:
        before, data = self.state, self.breaker.store.read()
        elapsed = self.clock.now - data.opened_at
        guard = self.breaker.guard()
        try:
            guard.__enter__()
        except Unreachable as error:
            assert not error.counted
            assert before == "half_open" or elapsed < module.OPEN_SECONDS
            return None
        assert before != "open" or elapsed >= module.OPEN_SECONDS
        self.begun += 1
        if self.state == "half_open":
            if before == "open":
                self.trials.clear()
            self.trials.add(self.begun)
        return self.begun, guard, self.breaker.store.read().epoch

    @rule(item=consumes(calls), outcome=st.sampled_from(["ok", "unreachable", "4xx", "own"]))
    def end(self, item: tuple[int, AbstractContextManager[None], int] | None, outcome: str) -> None:
        if item is None:
            return
        number, guard, epoch = item
        before = self.breaker.store.read()
        errors = {"unreachable": Unreachable("x"), "4xx": Rejected("x"), "own": ValueError("x")}
        error = errors.get(outcome)
        swallowed = guard.__exit__(type(error) if error else None, error, None)
        assert not swallowed
        self.trials.discard(number)
        self.check(before, outcome, current=epoch == before.epoch)

    def check(self, before: BreakerData, outcome: str, *, current: bool) -> None:
        after = self.breaker.store.read()
        if not current or outcome == "own":
            assert (after.state, after.failures) == (before.state, before.failures)
        elif outcome == "unreachable":
            enough = before.failures + 1 >= module.FAILURES_TO_OPEN
            opens = before.state == "half_open" or enough
            assert after.state == ("open" if opens else "closed")
        elif before.state == "half_open":
            closes = before.successes + 1 >= module.SUCCESSES_TO_CLOSE
            assert after.state == ("closed" if closes else "half_open")
        else:
            assert after.state == "closed"

    @rule(seconds=st.sampled_from([1.0, 10.0, 31.0]))
    def wait(self, seconds: float) -> None:
        if self.clock.now + seconds < 1000 + module.TRIAL_SECONDS:
            self.clock.now += seconds

    @invariant()
    def trials_are_few(self) -> None:
        if self.state == "half_open":
            assert len(self.trials) <= module.TRIALS
        assert len(self.breaker.store.read().trials) <= module.TRIALS


Machine.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestMachine = Machine.TestCase
