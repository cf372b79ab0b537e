"""Runs over MLflow's REST API: several searches at once, while what came is being stored.

Pages go by start time, because MLflow's own page token is an offset that shifts when runs are
added or deleted. So a page can be asked for only when the one before it is here: the threads
find out where that one ends and leave it as it is, and MLflow works on the next while records are
made of it. Whoever iterates does that, and minds retries and the breaker, whose store may be a
database that other threads had better not touch.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace

import orjson

from e2i_site.mlflow_connector.errors import BreakerOpen, Busy, MLflowError, Rejected, Unreachable
from e2i_site.mlflow_connector.reads import Reads
from e2i_site.mlflow_connector.sources.base import (
    Failure,
    Page,
    Prepare,
    RunRecord,
    Slice,
    record_of,
)
from e2i_site.mlflow_connector.transport import count_request, is_worth_repeating, single_attempt
from e2i_site.mlflow_connector.types import Json, LoggedModel, Run

#: Runs asked for at first; what they weigh decides how many come with the next pages, up to so
#: many times as many. An experiment begins with what another's first page would lead to.
FIRST_PAGE, LARGEST_PAGE, GROWTH = 25, 5000, 20
LARGEST_GROUP = 25
#: So many parts of a group that could not be read are asked for apart.
PARTS = 8
#: Bytes that a page may take while it is parsed, and what one run and one of its parts take.
PAGE_BYTES, RUN_BYTES, PART_BYTES = 48_000_000, 1500, 350
ORDER = ["attributes.start_time ASC", "attributes.run_id ASC"]


@dataclass(frozen=True)
class _Reading:
    """Where the reading of one slice stands.

    Attributes:
        size: runs to ask for.
        low: first start in ms to ask for; None is before all.
        token: of MLflow, for runs of one and the same start.
        seen: runs of the start `low` that came before.
        read: runs that came so far.
        attempts: questions for this page that failed.
    """

    slice: Slice
    size: int
    low: int | None
    token: str | None = None
    seen: frozenset[str] = frozenset()
    read: int = 0
    attempts: int = 0


@dataclass(frozen=True)
class _Answer:
    """A page as MLflow sent it, and what the next question needs to know of it.

    Attributes:
        starts: of each run by its id, in ms and in order.
        token: there are more runs.
        weight: bytes that one run takes, on average.
    """

    runs: list[Json]
    starts: dict[str, int]
    token: str | None
    weight: int

    @classmethod
    def parse(cls, data: Json) -> _Answer:
        runs = data.get("runs") or []
        return cls(
            runs,
            {each["info"]["run_id"]: int(each["info"].get("start_time") or 0) for each in runs},
            data.get("next_page_token") or None,
            sum(map(_weight, runs)) // max(len(runs), 1),
        )

    @property
    def high(self) -> int | None:
        """The last start, from which one goes on; None when this was all."""
        return next(reversed(self.starts.values()), None) if self.token else None


class RestSource:
    """Reads `readers` slices at once. One for one sync; not for several threads."""

    name = "rest"

    def __init__(self, reads: Reads, *, readers: int = 2) -> None:
        self._reads = reads
        self._readers = readers
        self._stop = threading.Event()

    def group(self, experiments: int) -> int:
        return min(LARGEST_GROUP, max(1, experiments // (4 * self._readers)))

    def count(self) -> int | None:
        """Unknown: MLflow counts nothing."""
        return None

    def logged_models(self, experiment_ids: list[str]) -> Iterator[LoggedModel]:
        return self._reads.find_logged_models(experiment_ids)

    def close(self) -> None:
        """End waits between attempts."""
        self._stop.set()

    def runs(
        self, slices: Iterable[Slice], prepare: Prepare | None = None
    ) -> Iterator[Page | Failure]:
        """Pages in the order in which MLflow answers.

        Raises:
            Unreachable: the breaker is open, so that no slice can be read now.
        """
        with ThreadPoolExecutor(self._readers, thread_name_prefix="mlflow-read") as pool:
            try:
                for outcome in _Questions(self._reads, self._readers, pool, self._stop, slices):
                    if prepare and isinstance(outcome, Page):
                        prepare(outcome.records)
                    yield outcome
            finally:
                self._stop.set()
                pool.shutdown(cancel_futures=True)
                self._stop.clear()


class _Questions:
    """What MLflow was asked and has not answered, and the slices that wait for a reader."""

    def __init__(
        self,
        reads: Reads,
        readers: int,
        pool: ThreadPoolExecutor,
        stop: threading.Event,
        slices: Iterable[Slice],
    ) -> None:
        self._reads = reads
        self._transport = reads.transport
        self._readers = readers
        self._pool = pool
        self._stop = stop
        self._waiting = deque(slices)
        self._heaviest = 0
        self._asked: dict[Future[_Answer], _Reading] = {}

    def __iter__(self) -> Iterator[Page | Failure]:
        self._fill()
        while self._asked:
            for future in wait(self._asked, return_when=FIRST_COMPLETED).done:
                outcome = self._outcome(self._asked.pop(future), future)
                self._fill()
                if outcome:
                    yield outcome

    def _fill(self) -> None:
        """Give every reader a slice."""
        while self._waiting and len(self._asked) < self._readers:
            some = self._waiting.popleft()
            size = _size(some, self._heaviest, FIRST_PAGE) if self._heaviest else FIRST_PAGE
            self._ask(_Reading(some, min(size, some.limit or size), some.since))

    def _ask(self, reading: _Reading, delay: float = 0.0) -> Future[_Answer]:
        count_request()
        future = self._pool.submit(self._fetch, reading, delay)
        self._asked[future] = reading
        return future

    def _fetch(self, reading: _Reading, delay: float) -> _Answer:
        """One page, in a thread."""
        if delay:
            self._stop.wait(delay)
        low, some = reading.low, reading.slice
        bound = "" if low is None else f"attributes.start_time >= {low}"
        data = self._transport.search_unguarded(
            "runs/search",
            experiment_ids=list(some.experiment_ids),
            filter=" and ".join(each for each in (some.filter, bound) if each),
            run_view_type=some.view,
            max_results=reading.size,
            order_by=ORDER,
            **({"page_token": reading.token} if reading.token else {}),
        )
        with _understanding(some):
            return _Answer.parse(data)

    def _outcome(self, reading: _Reading, future: Future[_Answer]) -> Page | Failure | None:
        """What came of a question, None when it is asked again; goes on with its slice."""
        try:
            with self._transport.breaker.guard():
                answer = future.result()
        except MLflowError as error:
            if isinstance(error, BreakerOpen):
                raise
            return self._failed(reading, error)
        self._heaviest = max(self._heaviest, answer.weight)
        further = _further(reading, answer)
        asked = self._ask(further) if further else None
        # The next page is on its way, of this slice or of another, while this one is worked on.
        self._fill()
        try:
            with _understanding(reading.slice):
                return _page(reading, answer)
        except Rejected as error:
            if asked:
                asked.cancel()
                del self._asked[asked]
            return self._failed(reading, error)

    def _failed(self, reading: _Reading, error: MLflowError) -> Failure | None:
        self._look_for_life(error)
        for_parts = _is_for_parts(reading, error)
        # Several experiments are soon asked for apart, so that one's failures stay few.
        retries = 1 if for_parts else self._transport.policy.retries
        if is_worth_repeating(error) and reading.attempts < retries:
            self._ask_again(reading, error)
        elif for_parts:
            # Last, so that others are read between one failure and the next.
            self._waiting.extend(_parts(reading))
        else:
            return Failure(reading.slice, reading.low, error)
        return None

    def _look_for_life(self, error: MLflowError) -> None:
        """A server that answers is not down though it fails at these runs: the breaker, which
        counts failures in a row, shall not keep us from the others."""
        if isinstance(error, Unreachable) and error.counted:
            with suppress(MLflowError), single_attempt():
                self._reads.ping()

    def _ask_again(self, reading: _Reading, error: MLflowError) -> None:
        """After a while. Smaller pages may be answered in time where a large one was not."""
        policy = self._transport.policy
        again = replace(reading, attempts=reading.attempts + 1)
        if isinstance(error, Busy):
            self._ask(again, min(error.retry_after, policy.longest))
        else:
            again = replace(again, size=max(reading.size // 4, 1))
            self._ask(again, min(policy.initial * 2.0**reading.attempts, policy.longest))


@contextmanager
def _understanding(some: Slice) -> Iterator[None]:
    """What an answer lacks, or has and should not, as an error of ours."""
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise Rejected(
            f"MLflow's answer about the runs of experiment {', '.join(some.experiment_ids)} "
            f"cannot be understood: {type(error).__name__} {error}"
        ) from error


def _page(reading: _Reading, answer: _Answer) -> Page:
    """The records that the answer adds."""
    # Those of the same start time that came before belong to this page's range, too.
    ids = reading.seen.union(answer.starts)
    return Page(reading.slice, list(_records(reading, answer)), ids, reading.low, answer.high)


def _records(reading: _Reading, answer: _Answer) -> Iterator[RunRecord]:
    """Parse what is new, letting go of each run's raw form at once."""
    raw = answer.runs
    raw.reverse()
    while raw:
        run = Run.parse(raw.pop())
        if run.run_id not in reading.seen:
            yield record_of(run)


def _further(reading: _Reading, answer: _Answer) -> _Reading | None:
    """What to ask for after the answer; None when the slice had its share, or is read."""
    high, starts = answer.high, answer.starts
    if high is None:
        return None
    fresh = starts.keys() - reading.seen
    further = replace(
        reading,
        size=_size(reading.slice, answer.weight, reading.size),
        read=reading.read + len(fresh),
        attempts=0,
    )
    if high == reading.low:
        return replace(further, seen=reading.seen | fresh, token=answer.token)
    if further.slice.limit is not None and further.read >= further.slice.limit:
        return None
    # From this start time, with offsets counted anew.
    there = frozenset(run_id for run_id, start in starts.items() if start == high)
    return replace(further, low=high, seen=there, token=None)


def _size(some: Slice, weight: int, before: int) -> int:
    """So many runs of `weight` bytes that a page of them fits, after one of `before` runs."""
    wanted = min(PAGE_BYTES // weight, before * GROWTH, LARGEST_PAGE)
    return max(min(wanted, some.limit or wanted), 1)


def _weight(run: Json) -> int:
    values = run.get("data") or {}
    parts = sum(len(values.get(each) or ()) for each in ("params", "metrics", "tags"))
    return RUN_BYTES + PART_BYTES * parts + len(orjson.dumps(run))


def _is_for_parts(reading: _Reading, error: MLflowError) -> bool:
    """Whether to ask for the experiments apart; a server that has too much to do is not helped."""
    return len(reading.slice.experiment_ids) > 1 and not isinstance(error, Busy)


def _parts(reading: _Reading) -> Iterator[Slice]:
    """Some of the experiments each, until one that cannot be read stands alone."""
    ids = reading.slice.experiment_ids
    size = -(-len(ids) // PARTS)
    for begin in range(0, len(ids), size):
        some = ids[begin : begin + size]
        yield replace(reading.slice, experiment_ids=some, since=reading.low)
