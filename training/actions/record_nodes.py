"""Node rows, written while a pipeline runs."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from django.db.models import Max
from django.utils import timezone

from e2i_site.jobs.handlers import Cancelled, LeaseLost
from e2i_site.jobs.runner import JobContext
from training.choices import NodeOutcome
from training.models import PipelineNode, Selection, TrainingRun
from training.pipeline.steps import NodeNote

# Progress is written at most this often, in seconds.
PAUSE = 0.3


class Stopped(BaseException):
    """The job must stop. Not an Exception, so that the MLflow run ends KILLED, not FAILED.

    `cause` is what the job said: cancelled, or its lease lost.
    """

    def __init__(self, cause: Cancelled | LeaseLost) -> None:
        super().__init__(str(cause))
        self.cause = cause


def next_attempt(owner: TrainingRun | Selection) -> int:
    """The number of the attempt that begins; nodes that an earlier one left open are closed."""
    owner.nodes.filter(outcome=NodeOutcome.RUNNING).update(
        outcome=NodeOutcome.INTERRUPTED, ended_at=timezone.now()
    )
    latest: int | None = owner.nodes.aggregate(latest=Max("attempt"))["latest"]
    return (latest or 0) + 1


class NodeLog:
    """A `NodeRecorder` that stores nodes of one attempt and passes progress on to the job."""

    def __init__(self, job: JobContext, owner: TrainingRun | Selection, attempt: int) -> None:
        self._job = job
        self._owner = owner
        self._attempt = attempt
        self._position = 0
        self._present: PipelineNode | None = None
        self._written = 0.0

    @contextmanager
    def node(self, name: str) -> Iterator[NodeNote]:
        """One row from the start of the node to its end."""
        self._position += 1
        row = self._owner.nodes.create(
            attempt=self._attempt,
            position=self._position,
            name=name,
            started_at=timezone.now(),
        )
        self._present = row
        try:
            self.progress(name.replace("_", " ").capitalize(), 0, 0)
        except Stopped as stop:
            # Whether a cancelled run stops before this node was asked before it began.
            if not isinstance(stop.cause, Cancelled):
                raise
        note = NodeNote()
        try:
            yield note
        except (Stopped, KeyboardInterrupt, SystemExit) as stop:
            self._end(row, NodeOutcome.INTERRUPTED, note, str(stop))
            raise
        except BaseException as error:
            self._end(row, NodeOutcome.FAILED, note, f"{type(error).__name__}: {error}")
            raise
        self._end(row, NodeOutcome(note.outcome), note)

    def _end(
        self, row: PipelineNode, outcome: NodeOutcome, note: NodeNote, error: str = ""
    ) -> None:
        self._present = None
        PipelineNode.objects.filter(pk=row.pk).update(
            outcome=outcome, detail=note.detail, error=error, ended_at=timezone.now()
        )

    def progress(self, phase: str, done: int, total: int) -> None:
        """Show how far the present node is; too frequent reports are left out."""
        if time.monotonic() - self._written < PAUSE and 0 < done < total:
            return
        self._written = time.monotonic()
        if self._present is not None and total:
            PipelineNode.objects.filter(pk=self._present.pk).update(done=done, total=total)
        try:
            self._job.progress(phase, done, total)
        except (Cancelled, LeaseLost) as error:
            raise Stopped(error) from None

    def raise_if_cancelled(self) -> None:
        """Raise `Stopped` when the job must stop."""
        try:
            self._job.raise_if_cancelled()
        except (Cancelled, LeaseLost) as error:
            raise Stopped(error) from None
