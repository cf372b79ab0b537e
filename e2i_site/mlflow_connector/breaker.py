"""Circuit breaker: after five failures in a row nobody calls MLflow for half a minute.

The state lives in a store that several processes may share. The store is never held during a
call, so slow calls do not queue behind each other.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import Any, Protocol

from e2i_site.mlflow_connector.errors import BreakerOpen, MLflowError, Unreachable

CLOSED, OPEN, HALF_OPEN = "closed", "open", "half_open"
FAILURES_TO_OPEN = 5
OPEN_SECONDS = 30.0
TRIALS = 3
SUCCESSES_TO_CLOSE = 2
#: A trial whose process died gives its place back after this many seconds.
TRIAL_SECONDS = 150.0
OPENINGS_KEPT = 20


@dataclass(frozen=True)
class Opening:
    """One time the breaker opened. Times are seconds since 1970; `closed_at` None: not yet."""

    opened_at: float
    reason: str
    closed_at: float | None = None


@dataclass(frozen=True)
class BreakerData:
    """Everything a store keeps. `epoch` grows with each change of state, so that the outcome of
    a call that began under an earlier state does not count."""

    state: str = CLOSED
    failures: int = 0
    successes: int = 0
    opened_at: float = 0.0
    trials: tuple[float, ...] = ()
    epoch: int = 0
    failures_total: int = 0
    openings_total: int = 0
    openings: tuple[Opening, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON data; `from_dict` reads it back."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> BreakerData:
        """Read what `as_dict` wrote; an empty dict is a new, closed breaker."""
        openings = tuple(Opening(**each) for each in data.get("openings", ()))
        return cls(**{**data, "trials": tuple(data.get("trials", ())), "openings": openings})


class BreakerStore(Protocol):
    """Where the state is kept. Both methods must be safe for threads (and processes)."""

    def read(self) -> BreakerData:
        """The state now."""

    def update(self, change: Callable[[BreakerData], BreakerData]) -> BreakerData:
        """Apply a pure function atomically; it may be called again when somebody else was first."""


class MemoryStore:
    """State of one process."""

    def __init__(self) -> None:
        self._data = BreakerData()
        self._lock = threading.Lock()

    def read(self) -> BreakerData:
        return self._data

    def update(self, change: Callable[[BreakerData], BreakerData]) -> BreakerData:
        with self._lock:
            self._data = change(self._data)
            return self._data


@dataclass(frozen=True)
class BreakerSnapshot:
    """The breaker for people and metrics. `calls` and `refused` count this process only."""

    state: str
    failures: int
    retry_after: float
    trials_running: int
    failures_total: int
    openings_total: int
    openings: tuple[Opening, ...]
    calls: int
    refused: int


@dataclass(frozen=True)
class _Permit:
    epoch: int
    trial: float | None
    clean: bool


class Breaker:
    """Guards calls; `clock` gives seconds since 1970."""

    def __init__(
        self, store: BreakerStore | None = None, clock: Callable[[], float] = time.time
    ) -> None:
        self.store = store or MemoryStore()
        self._clock = clock
        self._calls = 0
        self._refused = 0

    @contextmanager
    def guard(self) -> Iterator[None]:
        """Run one call. MLflow's answer, even a 4xx, is a success; `Unreachable` with `counted`
        is a failure; anything else says nothing about MLflow.

        Raises:
            Unreachable: the breaker is open, or enough trial calls are under way.
        """
        permit = self._acquire()
        try:
            yield
        except Unreachable as error:
            if error.counted:
                self._failed(permit, str(error))
            else:
                self._release(permit)
            raise
        except MLflowError:
            self._succeeded(permit)
            raise
        except BaseException:
            self._release(permit)
            raise
        self._succeeded(permit)

    def snapshot(self) -> BreakerSnapshot:
        """The state now."""
        data, now = self.store.read(), self._clock()
        wait = max(0.0, data.opened_at + OPEN_SECONDS - now) if data.state == OPEN else 0.0
        return BreakerSnapshot(
            state=data.state,
            failures=data.failures,
            retry_after=wait,
            trials_running=len(_live(data.trials, now)),
            failures_total=data.failures_total,
            openings_total=data.openings_total,
            openings=data.openings,
            calls=self._calls,
            refused=self._refused,
        )

    def _acquire(self) -> _Permit:
        data = self.store.read()
        self._calls += 1
        if data.state == CLOSED:
            return _Permit(data.epoch, None, clean=data.failures == 0)
        granted: list[_Permit | float] = []

        def claim(now_data: BreakerData) -> BreakerData:
            granted.clear()
            changed, outcome = _claim(now_data, self._clock())
            granted.append(outcome)
            return changed

        if data.state == OPEN and (wait := data.opened_at + OPEN_SECONDS - self._clock()) > 0:
            raise self._refuse(wait)
        self.store.update(claim)
        outcome = granted[0]
        if isinstance(outcome, _Permit):
            return outcome
        raise self._refuse(outcome)

    def _refuse(self, wait: float) -> BreakerOpen:
        self._refused += 1
        return BreakerOpen(
            f"MLflow is not asked for another {max(wait, 1):.0f} s because it did not answer "
            "before.",
            retry_after=max(wait, 1.0),
        )

    def _failed(self, permit: _Permit, reason: str) -> None:
        now = self._clock()
        self.store.update(lambda data: _failure(data, permit, now, reason))

    def _succeeded(self, permit: _Permit) -> None:
        if permit.clean:
            return  # nothing to reset, so nothing to write
        now = self._clock()
        self.store.update(lambda data: _success(data, permit, now))

    def _release(self, permit: _Permit) -> None:
        if permit.trial is not None:
            self.store.update(lambda data: _without_trial(data, permit))


def _live(trials: tuple[float, ...], now: float) -> tuple[float, ...]:
    return tuple(begun for begun in trials if now - begun < TRIAL_SECONDS)


def _claim(data: BreakerData, now: float) -> tuple[BreakerData, _Permit | float]:
    """A place for one call, or the seconds to wait."""
    if data.state == CLOSED:
        return data, _Permit(data.epoch, None, clean=data.failures == 0)
    if data.state == OPEN:
        if (wait := data.opened_at + OPEN_SECONDS - now) > 0:
            return data, wait
        data = replace(data, state=HALF_OPEN, successes=0, trials=(), epoch=data.epoch + 1)
    trials = _live(data.trials, now)
    if len(trials) >= TRIALS:
        return data, 1.0
    return replace(data, trials=(*trials, now)), _Permit(data.epoch, now, clean=False)


def _without_trial(data: BreakerData, permit: _Permit) -> BreakerData:
    if permit.epoch != data.epoch or permit.trial not in data.trials:
        return data
    trials = list(data.trials)
    trials.remove(permit.trial)
    return replace(data, trials=tuple(trials))


def _failure(data: BreakerData, permit: _Permit, now: float, reason: str) -> BreakerData:
    if permit.epoch != data.epoch:
        return replace(data, failures_total=data.failures_total + 1)
    data = replace(data, failures=data.failures + 1, failures_total=data.failures_total + 1)
    if data.state == CLOSED and data.failures < FAILURES_TO_OPEN:
        return data
    return _opened(data, now, reason)


def _opened(data: BreakerData, now: float, reason: str) -> BreakerData:
    """Open, or open again: a trial that fails prolongs the opening that is already listed."""
    again = data.state == HALF_OPEN and data.openings and data.openings[-1].closed_at is None
    openings = data.openings if again else (*data.openings, Opening(now, reason[:300]))
    return replace(
        data,
        state=OPEN,
        opened_at=now,
        successes=0,
        trials=(),
        epoch=data.epoch + 1,
        openings_total=data.openings_total + (0 if again else 1),
        openings=openings[-OPENINGS_KEPT:],
    )


def _success(data: BreakerData, permit: _Permit, now: float) -> BreakerData:
    if permit.epoch != data.epoch:
        return data
    if data.state == CLOSED:
        return replace(data, failures=0)
    data = _without_trial(data, permit)
    data = replace(data, successes=data.successes + 1)
    if data.successes < SUCCESSES_TO_CLOSE:
        return data
    *earlier, last = data.openings
    return replace(
        data,
        state=CLOSED,
        failures=0,
        successes=0,
        trials=(),
        epoch=data.epoch + 1,
        openings=(*earlier, replace(last, closed_at=now)),
    )
