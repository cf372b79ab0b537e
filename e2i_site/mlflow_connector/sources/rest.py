"""Runs over MLflow's REST API: several searches at once, while what came is being stored.

Pages go by start time, because MLflow's own page token is an offset that shifts when runs are
added or deleted. The threads only ask and parse. Whoever iterates minds retries and the breaker,
whose store may be a database that other threads had better not touch.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

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
from e2i_site.mlflow_connector.types import LoggedModel, Run

#: Runs asked for at first; what they weigh decides how many come with the next pages.
FIRST_PAGE, LARGEST_PAGE = 25, 5000
LARGEST_GROUP = 25
#: So many parts of a group that could not be read are asked for apart.
PARTS = 8
#: Bytes that a page may take while it is parsed, and what one run and one of its parts take.
PAGE_BYTES, RUN_BYTES, PART_BYTES = 48_000_000, 1500, 350
ORDER = ["attributes.start_time ASC", "attributes.run_id ASC"]


@dataclass
class _Reading:
    """Where the reading of one slice stands."""

    slice: Slice
    size: int
    low: int | None
    token: str | None = None
    seen: set[str] = field(default_factory=set)
    read: int = 0
    attempts: int = 0


@dataclass(frozen=True)
class _Answer:
    records: list[RunRecord]
    token: str | None


class RestSource:
    """Reads `readers` slices at once. One for one sync; not for several threads."""

    name = "rest"

    def __init__(self, reads: Reads, *, readers: int = 2) -> None:
        self._reads = reads
        self._transport = reads.transport
        self._readers = readers
        self._stop = threading.Event()
        self._prepare: Prepare | None = None

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
        self._prepare = prepare
        waiting = deque(slices)
        pool = ThreadPoolExecutor(self._readers, thread_name_prefix="mlflow-read")
        asked: dict[Future[_Answer], _Reading] = {}
        try:
            self._begin(pool, asked, waiting)
            while asked:
                for future in wait(asked, return_when=FIRST_COMPLETED).done:
                    outcome = self._outcome(pool, asked, waiting, asked.pop(future), future)
                    # The next page is on its way while this one is stored.
                    self._begin(pool, asked, waiting)
                    if outcome:
                        yield outcome
        finally:
            self._stop.set()
            pool.shutdown(cancel_futures=True)
            self._stop.clear()

    def _ask(
        self,
        pool: ThreadPoolExecutor,
        asked: dict[Future[_Answer], _Reading],
        reading: _Reading,
        delay: float = 0.0,
    ) -> None:
        count_request()
        asked[pool.submit(self._fetch, replace(reading), delay)] = reading

    def _begin(
        self,
        pool: ThreadPoolExecutor,
        asked: dict[Future[_Answer], _Reading],
        waiting: deque[Slice],
    ) -> None:
        """Give every reader a slice."""
        while waiting and len(asked) < self._readers:
            some = waiting.popleft()
            size = min(FIRST_PAGE, some.limit or FIRST_PAGE)
            self._ask(pool, asked, _Reading(some, size, some.since))

    def _outcome(
        self,
        pool: ThreadPoolExecutor,
        asked: dict[Future[_Answer], _Reading],
        waiting: deque[Slice],
        reading: _Reading,
        future: Future[_Answer],
    ) -> Page | Failure | None:
        """What came of a question, None when it is asked again; goes on with its slice."""
        try:
            with self._transport.breaker.guard():
                answer = future.result()
        except MLflowError as error:
            if isinstance(error, BreakerOpen):
                raise
            self._look_for_life(error)
            if (delay := self._pause(reading, error)) is not None:
                self._ask(pool, asked, reading, delay)
            elif _is_for_parts(reading, error):
                # Last, so that others are read between one failure and the next.
                waiting.extend(_parts(reading))
            else:
                return Failure(reading.slice, reading.low, error)
            return None
        page = _page(reading, answer)
        if not page.is_last and not _is_enough(reading):
            self._ask(pool, asked, reading)
        return page

    def _look_for_life(self, error: MLflowError) -> None:
        """A server that answers is not down though it fails at these runs: the breaker, which
        counts failures in a row, shall not keep us from the others."""
        if isinstance(error, Unreachable) and error.counted:
            with suppress(MLflowError), single_attempt():
                self._reads.ping()

    def _pause(self, reading: _Reading, error: MLflowError) -> float | None:
        """Seconds until the next attempt; None when there is none. Smaller pages may be answered
        in time where a large one was not."""
        policy = self._transport.policy
        # Several experiments are soon asked for apart, so that one's failures stay few.
        retries = 1 if _is_for_parts(reading, error) else policy.retries
        reading.attempts += 1
        if not is_worth_repeating(error) or reading.attempts > retries:
            return None
        if isinstance(error, Busy):
            return min(error.retry_after, policy.longest)
        reading.size = max(reading.size // 4, 1)
        return min(policy.initial * 2.0 ** (reading.attempts - 1), policy.longest)

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
        try:
            answer = _Answer(list(_records(data)), data.get("next_page_token") or None)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            which = ", ".join(some.experiment_ids)
            raise Rejected(
                f"MLflow's answer about the runs of experiment {which} cannot be understood: "
                f"{type(error).__name__} {error}"
            ) from error
        if self._prepare:
            self._prepare(answer.records)
        return answer


def _records(data: dict[str, Any]) -> Iterator[RunRecord]:
    """Parse, letting go of each run's raw form at once."""
    raw = data.get("runs") or []
    raw.reverse()
    while raw:
        yield record_of(Run.parse(raw.pop()))


def _page(reading: _Reading, answer: _Answer) -> Page:
    """What the answer adds; `reading` is moved on to the next page."""
    records = answer.records
    fresh = [each for each in records if each.run.run_id not in reading.seen]
    low = reading.low
    high = records[-1].run.start_ms if answer.token and records else None
    # Those of the same start time that came before belong to this page's range, too.
    ids = reading.seen.union(each.run.run_id for each in records)
    page = Page(reading.slice, fresh, frozenset(ids), low, high)
    reading.attempts = 0
    reading.read += len(fresh)
    reading.size = _next_size(reading, records)
    if high is None:
        return page
    if high != low:  # go on from this start time, with offsets counted anew
        reading.seen = {each.run.run_id for each in records if each.run.start_ms == high}
        reading.low, reading.token = high, None
    else:
        reading.seen.update(each.run.run_id for each in fresh)
        reading.token = answer.token
    return page


def _is_enough(reading: _Reading) -> bool:
    """True when a limited slice has had its share, up to a start time where one can go on."""
    limit = reading.slice.limit
    return limit is not None and reading.read >= limit and reading.token is None


def _next_size(reading: _Reading, records: list[RunRecord]) -> int:
    """So many runs that a page of them fits into `PAGE_BYTES`."""
    if not records:
        return reading.size
    weight = sum(map(_weight, records)) // len(records)
    wanted = min(PAGE_BYTES // weight, reading.size * 20, LARGEST_PAGE)
    if reading.slice.limit is not None:
        wanted = min(wanted, reading.slice.limit)
    return max(wanted, 1)


def _weight(record: RunRecord) -> int:
    run = record.run
    parts = len(run.params) + len(run.metrics) + len(run.tags)
    texts = len(record.params_json) + len(record.metrics_json) + len(record.tags_json)
    return RUN_BYTES + PART_BYTES * parts + texts


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
