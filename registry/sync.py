"""Mirror MLflow: what anybody logged or registered there becomes rows here.

MLflow has no time of last change, so no single watermark is right. Experiments and the registry
are read whole each time. Of the runs a short sync reads those that started or ended lately and
those that have not ended; besides, it sweeps each experiment whole from time to time, which
finds late edits and deletions. `SWEEP_EVERY` bounds how late.
"""

from __future__ import annotations

import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Q, QuerySet
from django.utils import timezone

from e2i_site.core.errors import Conflict
from e2i_site.mlflow_connector import MLflowConnector, count_requests, get_connector
from e2i_site.mlflow_connector.masking import mask_text
from e2i_site.mlflow_connector.types import Run
from registry.mirror import RegistryMirror
from registry.models import SyncState
from training.choices import UNFINISHED_RUN, RunSource
from training.models import MlflowExperiment, TrainingRun
from training.sync import Counts, RunMirror, mirror_experiments

FULL, INCREMENTAL = "full", "incremental"
LEASE = timedelta(minutes=3)
PAGE = 1000
IDS_A_SEARCH = 200
#: Client clocks differ, and a run that started before it was seen must not be missed.
OVERLAP = timedelta(minutes=10)
#: Each experiment is read whole this often; a slow one less often, so that sweeping never takes
#: more than a thirtieth of the time.
SWEEP_EVERY = timedelta(minutes=5)
SWEEP_SHARE = 30
SWEEP_GROUP = 25
#: A run that has not ended is asked for in each sync; after this long only sweeps look at it.
UNFINISHED_FOR = timedelta(days=2)
SWEEP_SECONDS = 10.0
_SOURCE = "mlflow"

Progress = Callable[[str, int], None]


class SyncBusy(Conflict):
    """Another sync is under way."""


@dataclass
class SyncReport:
    """What one sync did."""

    mode: str
    seconds: float = 0.0
    requests: int = 0
    experiments: Counts = field(default_factory=Counts)
    runs: Counts = field(default_factory=Counts)
    models: Counts = field(default_factory=Counts)
    versions: Counts = field(default_factory=Counts)

    def as_dict(self) -> dict[str, Any]:
        """Plain data, as the command prints it."""
        kinds = ("experiments", "runs", "models", "versions")
        return {
            "mode": self.mode,
            "seconds": round(self.seconds, 3),
            "requests": self.requests,
            **{kind: getattr(self, kind).as_dict() for kind in kinds},
        }


def sync(*, full: bool = False, progress: Progress | None = None) -> SyncReport:
    """Mirror MLflow into our tables. Doing it again changes nothing.

    Args:
        full: read every run; the first sync of a server always does.
        progress: called with what is read and how many; may raise to stop.

    Raises:
        SyncBusy: another sync is under way.
        Unreachable: MLflow does not answer; what was mirrored so far stays.
    """
    connector = get_connector()
    state = _claim()
    cursor = Cursor.of(state, connector.transport.safe_url)
    report = SyncReport(FULL if full or cursor.is_new else INCREMENTAL)
    begun = time.perf_counter()
    try:
        with count_requests() as counter:
            version = _Sync(connector, state, cursor, report, progress).run()
    except BaseException as error:
        _finish(state, failed_at=timezone.now(), error=mask_text(f"{error}")[:1000])
        raise
    finally:
        report.seconds, report.requests = time.perf_counter() - begun, counter.value
    _finish(
        state,
        mode=report.mode,
        succeeded_at=timezone.now(),
        error="",
        counts=report.as_dict(),
        cursor=cursor.as_dict(),
        server_version=version[:40],
    )
    return report


@dataclass
class Cursor:
    """What the next sync must know. `sweeps`: experiment -> (when it was read, seconds it took)."""

    url: str
    since: datetime | None = None
    sweeps: dict[str, tuple[float, float]] = field(default_factory=dict)

    @property
    def is_new(self) -> bool:
        """True before the first sync of this server."""
        return self.since is None

    @classmethod
    def of(cls, state: SyncState, url: str) -> Cursor:
        """The stored cursor; a new one for another server."""
        stored = state.cursor
        if stored.get("url") != url:
            return cls(url)
        sweeps = {key: (when, seconds) for key, (when, seconds) in stored["sweeps"].items()}
        return cls(url, datetime.fromisoformat(stored["since"]), sweeps)

    def as_dict(self) -> dict[str, Any]:
        since = self.since.isoformat() if self.since else None
        return {"url": self.url, "since": since, "sweeps": self.sweeps}

    def due(self, experiment_ids: Iterable[str], now: float) -> list[str]:
        """Experiments that are to be read whole, the most overdue first."""
        return sorted((key for key in experiment_ids if self._due_at(key) <= now), key=self._due_at)

    def _due_at(self, experiment_id: str) -> float:
        when, seconds = self.sweeps.get(experiment_id, (0.0, 0.0))
        return when + max(SWEEP_EVERY.total_seconds(), SWEEP_SHARE * seconds)


class _Sync:
    """One sync under its lease."""

    def __init__(
        self,
        connector: MLflowConnector,
        state: SyncState,
        cursor: Cursor,
        report: SyncReport,
        progress: Progress | None,
    ) -> None:
        self._connector = connector
        self._state = state
        self._cursor = cursor
        self._report = report
        self._progress = progress
        self._renewed = time.monotonic()

    def run(self) -> str:
        """Mirror everything; returns the server's version."""
        begun = timezone.now()
        version = self._connector.server_info().version
        self._alive("Experiments", 0)
        known = set(MlflowExperiment.objects.values_list("mlflow_id", flat=True))
        was_deleted = self._deleted_experiments()
        mirror_experiments(self._connector.iter_experiments(), known, self._report.experiments)
        self._runs(begun, self._deleted_experiments() ^ was_deleted)
        self._registry()
        self._cursor.since = begun
        return version

    @staticmethod
    def _deleted_experiments() -> set[str]:
        deleted = MlflowExperiment.objects.filter(deleted=True)
        return set(deleted.values_list("mlflow_id", flat=True))

    def _runs(self, begun: datetime, changed: set[str]) -> None:
        mirror = RunMirror(self._report.runs)
        ids = list(MlflowExperiment.objects.values_list("mlflow_id", flat=True))
        self._cursor.sweeps = {
            key: value for key, value in self._cursor.sweeps.items() if key in set(ids)
        }
        if self._report.mode == FULL:
            self._sweep_all(mirror, ids)
        else:
            self._recent(mirror, ids)
            self._unfinished(mirror, ids)
            self._sweep_due(mirror, ids, changed)
        mirror.link_parents()

    def _recent(self, mirror: RunMirror, ids: list[str]) -> None:
        since = self._cursor.since or timezone.now()
        bound = int((since - OVERLAP).timestamp() * 1000)
        for attribute in ("start_time", "end_time"):
            self._mirror(mirror, ids, f"attributes.{attribute} >= {bound}")

    def _unfinished(self, mirror: RunMirror, ids: list[str]) -> None:
        """Runs that had not ended, and those of ours whose content was not mirrored yet."""
        lately = Q(started_at=None) | Q(started_at__gte=timezone.now() - UNFINISHED_FOR)
        waiting = _present().filter(
            (Q(status__in=UNFINISHED_RUN) & lately) | Q(source=RunSource.E2I, tags={})
        )
        run_ids = list(waiting.values_list("mlflow_run_id", flat=True))
        for begin in range(0, len(run_ids), IDS_A_SEARCH):
            some = ", ".join(f"'{run_id}'" for run_id in run_ids[begin : begin + IDS_A_SEARCH])
            self._mirror(mirror, ids, f"attributes.run_id IN ({some})")

    def _sweep_due(self, mirror: RunMirror, ids: list[str], changed: set[str]) -> None:
        """Read some experiments whole: those deleted or restored, and those that are due."""
        self._sweep_all(mirror, sorted(changed))
        due = self._cursor.due((each for each in ids if each not in changed), time.time())
        self._sweep_all(mirror, due, seconds=SWEEP_SECONDS)

    def _sweep_all(self, mirror: RunMirror, ids: list[str], seconds: float = float("inf")) -> None:
        """Read experiments whole, some at a time, at least one group and for about `seconds`."""
        end = time.monotonic() + seconds
        for begin in range(0, len(ids), SWEEP_GROUP):
            if begin and time.monotonic() > end:
                break
            self._sweep(mirror, ids[begin : begin + SWEEP_GROUP])

    def _sweep(self, mirror: RunMirror, group: list[str]) -> None:
        """Read experiments whole; rows whose run is not there any more are marked."""
        begun = time.monotonic()
        rows = _present().filter(mlflow_experiment__mlflow_id__in=group)
        known = {str(run_id) for run_id in rows.values_list("mlflow_run_id", flat=True)}
        found = self._mirror(mirror, group, "")
        mirror.mark_gone(known - found.keys())
        each_took = (time.monotonic() - begun) / max(len(found), 1)
        sizes = Counter(found.values())
        for experiment_id in group:
            self._cursor.sweeps[experiment_id] = (time.time(), sizes[experiment_id] * each_took)

    def _mirror(self, mirror: RunMirror, ids: list[str], filter: str) -> dict[str, str]:
        """Mirror what a search finds; returns the experiment of each run."""
        found: dict[str, str] = {}
        runs = self._connector.iter_runs(ids, filter=filter, page_size=PAGE)
        for chunk in mirror.mirror(self._each(runs)):
            found.update((run.run_id, run.experiment_id) for run in chunk)
        return found

    def _each(self, runs: Iterator[Run]) -> Iterator[Run]:
        for number, run in enumerate(runs):
            if number % 250 == 0:
                self._alive("Runs", self._report.runs.seen)
            yield run

    def _registry(self) -> None:
        self._alive("Registry", 0)
        mirror = RegistryMirror(self._report.models, self._report.versions)
        mirror.mirror_models(self._connector.iter_registered_models())
        mirror.mirror_versions(self._connector.iter_model_versions())

    def _alive(self, phase: str, done: int) -> None:
        """Say where the work stands, and keep the lease."""
        if self._progress:
            self._progress(phase, done)
        if time.monotonic() - self._renewed < LEASE.total_seconds() / 6:
            return
        self._renewed = time.monotonic()
        if not _own(self._state).update(lease_expires_at=timezone.now() + LEASE):
            raise SyncBusy("Another sync took over, because this one had not moved for long.")


def _present() -> QuerySet[TrainingRun]:
    """Rows of runs that MLflow has."""
    return TrainingRun.objects.filter(mlflow_run_id__isnull=False, deleted_in_mlflow=False)


def _claim() -> SyncState:
    """Take the right to sync. A lease that ran out belongs to a dead process."""
    SyncState.objects.get_or_create(source=_SOURCE)
    now, token = timezone.now(), uuid.uuid4()
    free = SyncState.objects.filter(
        Q(lease_token=None) | Q(lease_expires_at__lt=now), source=_SOURCE
    )
    if not free.update(lease_token=token, lease_expires_at=now + LEASE, started_at=now):
        raise SyncBusy("Another sync of MLflow is under way; it will be done soon.")
    return SyncState.objects.get(source=_SOURCE)


def _own(state: SyncState) -> QuerySet[SyncState]:
    return SyncState.objects.filter(source=_SOURCE, lease_token=state.lease_token)


def _finish(state: SyncState, **fields: Any) -> None:
    _own(state).update(lease_token=None, lease_expires_at=None, **fields)
