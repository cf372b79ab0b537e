"""One sync under its lease: who holds it, where it stands, what it could not do."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from django.db.models import Q, QuerySet
from django.utils import timezone

from e2i_site.core.errors import Conflict
from e2i_site.mlflow_connector import MLflowConnector
from e2i_site.mlflow_connector.errors import BreakerOpen, MLflowError
from e2i_site.mlflow_connector.masking import mask_text
from e2i_site.mlflow_connector.sources import Failure
from registry.models import SyncState
from registry.sync.cursor import Cursor
from registry.sync.report import SyncReport

LEASE = timedelta(minutes=3)
#: Seconds between two notes of where the work stands.
NOTE_EVERY = 2.0
SOURCE = "mlflow"

Progress = Callable[[str, int, int], None]


class SyncBusy(Conflict):
    """Another sync is under way."""


class Session:
    """What the parts of one sync share."""

    def __init__(
        self,
        connector: MLflowConnector,
        state: SyncState,
        cursor: Cursor,
        report: SyncReport,
        progress: Progress | None,
    ) -> None:
        self.connector = connector
        self.cursor = cursor
        self.report = report
        self.parts_failed = 0
        self.unreadable: set[str] = set()
        self._state = state
        self._progress = progress
        self._noted = self._phase_begun = time.monotonic()
        self._phase = ""
        self._done_before = 0

    def alive(self, phase: str, done: int = 0, total: int = 0) -> None:
        """Say where the work stands (`total` 0: unknown), and keep the lease and the cursor.

        Raises:
            SyncBusy: another sync took over.
        """
        now = time.monotonic()
        if phase != self._phase:
            self._phase, self._phase_begun, self._done_before = phase, now, done
        elif now - self._noted < NOTE_EVERY:
            return
        self._noted = now
        to_go = self._seconds_to_go(done, total)
        if self._progress:
            self._progress(phase + _in_words(to_go), done, total)
        noted = {"phase": phase, "done": done, "total": total, "seconds_to_go": to_go}
        self.keep(progress=noted)

    def goes_on(self) -> None:
        """Say that the phase goes on, however far it is."""
        self.alive(self._phase, self.report.runs.seen)

    def keep(self, **fields: Any) -> None:
        """Keep the lease, the cursor, and what else is given.

        Raises:
            SyncBusy: another sync took over.
        """
        fields |= {
            "cursor": self.cursor.as_dict(),
            "lease_expires_at": timezone.now() + LEASE,
        }
        if not own(self._state).update(**fields):
            raise SyncBusy("Another sync took over, because this one had not moved for long.")

    @contextmanager
    def part(self, what: str) -> Iterator[None]:
        """Some of the work, whose failure is reported and does not keep the rest from being done.

        Raises:
            BreakerOpen: MLflow does not answer at all.
        """
        try:
            yield
        except BreakerOpen:
            raise
        except MLflowError as error:
            self.parts_failed += 1
            self.problem(what, error)

    def problem(self, what: str, error: Exception) -> None:
        """Something could not be read; the next sync tries again."""
        self.report.problems.append(mask_text(f"{what}: {error}")[:500])

    def failed(self, failure: Failure) -> None:
        """Experiments could not be read in this sync; later ones read them again whole."""
        ids = failure.slice.experiment_ids
        self.unreadable.update(ids)
        self.cursor.read_again(ids)
        self.problem(f"Runs of experiment {', '.join(ids)}", failure.error)

    def hidden(self, experiment_ids: set[str]) -> None:
        """Runs were not shown to us; those that were mirrored stay as they were."""
        for each in sorted(experiment_ids):
            reason = "MLflow hides them from E2I's account. What was mirrored of them stays."
            self.report.problems.append(f"Runs of experiment {each}: {reason}")

    def _seconds_to_go(self, done: int, total: int) -> int | None:
        """By the pace of this phase so far; None where that is not known."""
        moved = done - self._done_before
        if total <= done or moved <= 0:
            return None
        return round((total - done) * (time.monotonic() - self._phase_begun) / moved)


def _in_words(seconds: int | None) -> str:
    if seconds is None:
        return ""
    return (
        f", about {seconds} s to go" if seconds < 90 else f", about {seconds // 60 + 1} min to go"
    )


def claim() -> SyncState:
    """Take the right to sync. A lease that ran out belongs to a dead process.

    Raises:
        SyncBusy: another sync has it.
    """
    SyncState.objects.get_or_create(source=SOURCE)
    now, token = timezone.now(), uuid.uuid4()
    free = SyncState.objects.filter(
        Q(lease_token=None) | Q(lease_expires_at__lt=now), source=SOURCE
    )
    if not free.update(lease_token=token, lease_expires_at=now + LEASE, started_at=now):
        raise SyncBusy("Another sync of MLflow is under way; it will be done soon.")
    return SyncState.objects.get(source=SOURCE)


def own(state: SyncState) -> QuerySet[SyncState]:
    return SyncState.objects.filter(source=SOURCE, lease_token=state.lease_token)


def finish(state: SyncState, **fields: Any) -> None:
    """Give the right back."""
    own(state).update(lease_token=None, lease_expires_at=None, progress={}, **fields)
