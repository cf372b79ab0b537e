"""The full sync: every run is read, from MLflow's SQL tables where that is allowed."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings
from django.utils import timezone

from e2i_site.mlflow_connector.sources import (
    Failure,
    RestSource,
    Slice,
    Source,
    StoreUnusable,
    open_store,
)
from e2i_site.mlflow_connector.types import Experiment
from registry.sync.cursor import Cursor, FullProgress
from registry.sync.pages import present, store
from registry.sync.session import Session
from training.sync import LoggedModelMirror, RunMirror

SWITCH_SECONDS = 0.0005


class Full:
    """Reads everything; goes on where one that died was."""

    def __init__(self, session: Session, experiments: list[Experiment]) -> None:
        self._session = session
        self._cursor = session.cursor
        self._experiments = experiments
        self._new = not present().exists()
        # Rows are compared whole, so that what was changed here in error is put right.
        self._mirror = RunMirror(session.report.runs, new=self._new, verify=True)
        self._models = LoggedModelMirror(session.report.logged_models)

    def run(self) -> None:
        """Mirror all runs and logged models.

        Raises:
            BreakerOpen: MLflow does not answer.
        """
        if self._cursor.full is None:
            self._cursor.full = FullProgress(timezone.now().isoformat())
        for source in self._sources():
            try:
                with _at_full_speed():
                    self._read(source)
                break
            except StoreUnusable as error:
                self._not_from_sql(error)
            finally:
                source.close()
        self._mirror.link_parents()

    def _sources(self) -> Iterator[Source]:
        """The store, if it can be read, then REST."""
        if uri := settings.MLFLOW_BACKEND_STORE_URI:
            try:
                yield open_store(uri, self._experiments)
            except StoreUnusable as error:
                self._not_from_sql(error)
        yield RestSource(self._session.connector, readers=settings.E2I_SYNC_READERS)

    def _not_from_sql(self, error: StoreUnusable) -> None:
        self._session.report.notes.append(
            f"MLFLOW_BACKEND_STORE_URI is not used: {error}. The runs are read over REST."
        )

    def _read(self, source: Source) -> None:
        self._session.report.source = source.name
        expected = source.count() or present().count()
        self._say(expected)
        for outcome in source.runs(
            self._slices(source), self._mirror.prepare if self._new else None
        ):
            if isinstance(outcome, Failure):
                self._session.failed(outcome)
                continue
            ids = list(outcome.slice.experiment_ids)
            store(outcome, self._mirror, self._session, new=self._new)
            if outcome.is_last:
                with self._session.part(f"Logged models of experiment {', '.join(ids)}"):
                    self._models.mirror_whole(ids, source.logged_models(ids))
                if outcome.slice.since is None:
                    self._cursor.was_read(ids)
            _progress(self._cursor).move(ids, outcome.high, is_last=outcome.is_last)
            self._say(expected)

    def _slices(self, source: Source) -> list[Slice]:
        """What is left to read: what was begun first, then the rest in groups."""
        progress = _progress(self._cursor)
        wanted = [each.experiment_id for each in self._experiments]
        begun = [Slice(tuple(ids), since) for ids, since in progress.at if set(ids) <= set(wanted)]
        over = set(progress.done) | {each for some in begun for each in some.experiment_ids}
        rest = [each for each in wanted if each not in over]
        size = source.group(len(rest))
        return begun + [Slice(tuple(rest[i : i + size])) for i in range(0, len(rest), size)]

    def _say(self, expected: int) -> None:
        seen = self._session.report.runs.seen
        self._session.alive("Runs", seen, max(expected, self._extrapolated(seen)))

    def _extrapolated(self, seen: int) -> int:
        """How many runs there are if the other experiments are as large as those read."""
        done = len(_progress(self._cursor).done)
        return seen * len(self._experiments) // done if done else 0


@contextmanager
def _at_full_speed() -> Iterator[None]:
    """Keep Python's own work from standing in the way, for as long as the block takes."""
    # What is there already is not garbage; looking through it again and again costs much.
    gc.freeze()
    # Who has heard from a database waits for the thread that parses, at each of many steps.
    usual = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_SECONDS)
    try:
        yield
    finally:
        sys.setswitchinterval(usual)
        gc.unfreeze()


def _progress(cursor: Cursor) -> FullProgress:
    if cursor.full is None:
        raise RuntimeError("No full sync is under way.")
    return cursor.full
