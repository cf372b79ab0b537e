"""The short sync: what is new or ended, what was deleted, and some of everything else.

MLflow has no time of last change, so no single watermark is right. What can be searched is
searched each time. For the rest (late tags and metrics, old starts) a rolling sweep reads
everything again, some at a time.
"""

from __future__ import annotations

import random
import time
from datetime import UTC, datetime, timedelta

from django.conf import settings
from django.db.models import Q
from django.utils import timezone

from e2i_site.mlflow_connector.errors import Busy
from e2i_site.mlflow_connector.sources import Failure, Page, RestSource, Slice
from registry.sync.cursor import Sweep
from registry.sync.pages import fetch, present, search, store
from registry.sync.session import Session
from training.choices import UNFINISHED_RUN, RunSource
from training.models import MlflowExperiment, TrainingRun
from training.sync import LoggedModelMirror, RunMirror

#: Client clocks differ, and a run that started before it was seen must not be missed.
OVERLAP = timedelta(minutes=10)
#: A run that has not ended is asked for in each sync; after this long only sweeps look at it.
UNFINISHED_FOR = timedelta(days=2)
#: A round of the sweep takes at least this long, and so long that it costs only a small share of
#: the time; E2I_SYNC_SWEEP_HOURS is the longest.
SWEEP_EVERY = timedelta(minutes=5)
SWEEP_SHARE = 100
SWEEP_RUNS = 400
SWEEP_SECONDS = 10.0
SWEEP_GROUP = 500


class Tick:
    """One short sync of the runs."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._cursor = session.cursor
        self._connector = session.connector
        self._mirror = RunMirror(session.report.runs, once=True)
        self._models = LoggedModelMirror(session.report.logged_models)
        rows = MlflowExperiment.objects.order_by("pk")
        self._every = list(rows.values_list("mlflow_id", flat=True))
        shown = rows.filter(hidden_since=None)
        self._ids = set(shown.values_list("mlflow_id", flat=True))
        self._active = set(shown.filter(deleted=False).values_list("mlflow_id", flat=True))

    def run(self) -> bool:
        """Mirror what can have changed; True when all that is new could be read."""
        session = self._session
        session.alive("Runs")
        failed = session.parts_failed
        since = int(((self._cursor.since or timezone.now()) - OVERLAP).timestamp() * 1000)
        for attribute in ("start_time", "end_time"):
            with session.part(f"Runs by {attribute}"):
                filter = f"attributes.{attribute} >= {since}"
                search(session, self._searched(self._ids), filter, self._mirror)
        with session.part("Unfinished runs"):
            self._unfinished()
        with session.part("Logged models"):
            filter = f"last_updated_timestamp >= {since}"
            self._models.mirror(self._connector.find_logged_models(sorted(self._ids), filter))
        complete = session.parts_failed == failed
        with session.part("Deleted runs"):
            self._deleted()
        self._mirror.link_parents()
        return complete

    def sweep(self) -> None:
        """Read again what changed as a whole or could not be read, and some of the rest."""
        begun, seen = time.monotonic(), self._session.report.runs.seen
        again = list((set(self._cursor.retry) & self._ids) - self._session.unreadable)
        random.shuffle(again)  # one that hangs must not always come first
        for each in again:
            if time.monotonic() - begun > SWEEP_SECONDS:
                break
            self._read(Slice((each,)))
        with self._session.part("Sweep"):
            self._round(time.monotonic())
        self._mirror.link_parents()
        self._session.report.sweep_seconds = time.monotonic() - begun
        self._session.report.swept = self._session.report.runs.seen - seen

    def _searched(self, ids: set[str]) -> list[str]:
        """Without what is read whole later in this sync: it may fail at each search before."""
        return sorted(ids - set(self._cursor.retry))

    def _unfinished(self) -> None:
        """Runs that had not ended, and those of ours whose content was not mirrored yet."""
        lately = Q(started_at=None) | Q(started_at__gte=timezone.now() - UNFINISHED_FOR)
        running = present().filter(
            lately, status__in=UNFINISHED_RUN, mlflow_experiment__hidden_since=None
        )
        ours = present().filter(source=RunSource.E2I, mirror_hash="")
        waiting = {
            str(run_id)
            for rows in (running, ours)
            for run_id in rows.values_list("mlflow_run_id", flat=True)
        }
        run_ids = sorted(each for each in waiting if not self._mirror.has(each))
        fetch(self._session, self._searched(self._ids), run_ids, self._mirror)

    def _deleted(self) -> None:
        """List the deleted runs, as often as that costs little, to see who joined or left them."""
        when, took = self._cursor.deleted
        if time.time() < when + took * SWEEP_SHARE:
            return
        begun = time.time()
        active = self._searched(self._active)
        found = search(self._session, active, "", self._mirror, view="DELETED_ONLY")
        rows = TrainingRun.objects.filter(deleted_in_mlflow=True, mlflow_run_id__isnull=False)
        known = rows.exclude(mirror_hash="").values_list("mlflow_run_id", "mlflow_experiment_id")
        listed = set(active)
        restored = {
            run for run, experiment in known.order_by() if str(experiment) in listed
        } - found
        fetch(self._session, active, sorted(map(str, restored)), self._mirror)
        self._cursor.deleted = (begun, time.time() - begun)

    def _round(self, begun: float) -> None:
        """Go on with the rolling sweep, as far as it should be by now."""
        sweep = self._cursor.sweep
        length = min(
            max(SWEEP_EVERY.total_seconds(), SWEEP_SHARE * sweep.per_run * sweep.total),
            settings.E2I_SYNC_SWEEP_HOURS * 3600,
        )
        share = (time.time() - sweep.began) / max(length, 1e-9)
        while share >= 1 or sweep.read < int(share * sweep.total):
            group = self._every[sweep.group * SWEEP_GROUP : (sweep.group + 1) * SWEEP_GROUP]
            if not group:
                if share >= 1:
                    self._end_round(sweep)
                return
            if time.monotonic() - begun > SWEEP_SECONDS:
                return
            ids = tuple(sorted((set(group) & self._ids) - set(self._cursor.retry)))
            since = self._read(Slice(ids, sweep.since, SWEEP_RUNS)) if ids else None
            sweep.group += since is None
            sweep.since = since

    def _end_round(self, sweep: Sweep) -> None:
        if not self._cursor.retry:
            self._cursor.covered_since = datetime.fromtimestamp(sweep.began, UTC)
        self._cursor.sweep = Sweep(total=sweep.read, per_run=sweep.per_run)

    def _read(self, some: Slice) -> int | None:
        """Read a slice; returns the start time at which to go on, None at its end."""
        source = RestSource(self._connector, readers=1)
        begun, read = time.monotonic(), 0
        # By experiment: a group that fails is read apart, and then each stands elsewhere.
        stands: dict[str, int | None] = {}
        sweep = self._cursor.sweep
        for outcome in source.runs([some]):
            self._session.alive("Sweep", self._session.report.runs.seen)
            since = None
            if isinstance(outcome, Failure):
                if some.limit is not None and isinstance(outcome.error, Busy):
                    raise outcome.error
                self._session.failed(outcome)
            else:
                self._store(outcome, source)
                read += len(outcome.records)
                since = outcome.high
            stands |= dict.fromkeys(outcome.slice.experiment_ids, since)
        if some.limit is not None:
            sweep.read += read
            if read >= SWEEP_RUNS:
                sweep.per_run = (time.monotonic() - begun) / read
        return min((each for each in stands.values() if each is not None), default=None)

    def _store(self, page: Page, source: RestSource) -> None:
        store(page, self._mirror, self._session)
        if page.is_last:
            ids = list(page.slice.experiment_ids)
            with self._session.part(f"Logged models of experiment {', '.join(ids)}"):
                self._models.mirror_whole(ids, source.logged_models(ids))
            if page.slice.limit is None:
                self._cursor.was_read(ids)
