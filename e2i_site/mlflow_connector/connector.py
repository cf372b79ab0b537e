"""The one place that talks to MLflow."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.conf import settings

from e2i_site.core.errors import InvalidInput
from e2i_site.mlflow_connector import delivery, journal, params
from e2i_site.mlflow_connector.breaker import Breaker, BreakerStore, MemoryStore
from e2i_site.mlflow_connector.errors import Conflict, Unreachable
from e2i_site.mlflow_connector.guard.middleware import HEADER
from e2i_site.mlflow_connector.journal import PendingJournal, ReplayResult
from e2i_site.mlflow_connector.tracking import RunContext, TrackedRun, new_journal_id, now_ms
from e2i_site.mlflow_connector.transport import RetryPolicy, Transport
from e2i_site.mlflow_connector.writes import Writes

ENDINGS = ("FINISHED", "FAILED", "KILLED")


class MLflowConnector(Writes):
    """Reads from MLflow, writes to it, and tracks runs. Safe for threads, and after a fork.

    Args:
        url: address of the MLflow server.
        journal_dir: where runs are kept until MLflow has them.
        timeout: seconds for one request.
        guard_token: tells the guard in front of MLflow that a call is E2I's.
    """

    def __init__(
        self,
        url: str,
        journal_dir: Path,
        *,
        store: BreakerStore | None = None,
        timeout: float = 30.0,
        policy: RetryPolicy | None = None,
        guard_token: str = "",
    ) -> None:
        self.journal_dir = Path(journal_dir)
        self.transport = Transport(
            url,
            breaker=Breaker(store),
            timeout=timeout,
            policy=policy,
            headers={HEADER: guard_token} if guard_token else {},
        )

    def start_run(
        self,
        experiment_name: str,
        *,
        run_name: str,
        tags: Mapping[str, Any] | None = None,
        parent: TrackedRun | str | None = None,
        parent_run_id: str | None = None,
        journal_id: str | None = None,
        killed_by: tuple[type[BaseException], ...] = (),
    ) -> RunContext:
        """Track a run, as `with` or as `async with`.

        Args:
            parent: the run around this one, or its journal id.
            parent_run_id: the same by MLflow's run id, where that is all one has.
            journal_id: a name for the journal, new for each run; made up when absent.
            killed_by: exceptions that mean "stopped", such as a cancelled job's.
        """
        if not experiment_name or not run_name:
            raise InvalidInput("A run needs the name of its experiment and a name of its own.")
        start = {
            "experiment": experiment_name,
            "run_name": run_name,
            "tags": {
                key: params.shorten(value, params.TAG_LENGTH, "not kept")
                for key, value in params.texts(tags or {}).items()
            },
            "parent": parent.journal_id if isinstance(parent, TrackedRun) else parent,
            "parent_run_id": parent_run_id,
        }
        return RunContext(self, journal_id or new_journal_id(), start, killed_by)

    def replay(self, journal_id: str) -> ReplayResult:
        """Deliver what waits in a journal, in order, exactly once in effect.

        Returns:
            What MLflow has now. `done` is false while the run has not ended.

        Raises:
            Unreachable: MLflow does not answer; call again later.
            NotFound: there is no such journal.
            Conflict: somebody else delivers it now.
            Rejected: MLflow refuses access, or refuses to make the run.
        """
        return delivery.deliver(self, journal.existing(self.journal_dir, journal_id), wait=False)

    def journal_result(self, journal_id: str) -> ReplayResult:
        """What MLflow is known to have of a run. Makes no call."""
        found = journal.existing(self.journal_dir, journal_id)
        return found.delivered() or delivery.as_result(found, found.state())

    def has_journal(self, journal_id: str) -> bool:
        """True when there is a journal of that id, delivered or not."""
        return journal.Journal(self.journal_dir, journal_id).exists

    def pending_journals(self) -> list[PendingJournal]:
        """Runs that MLflow does not have to their end, oldest first. Makes no call."""
        return journal.pending(self.journal_dir)

    def journal_ending(self, journal_id: str) -> str:
        """How a run ends, delivered or not: FINISHED, FAILED, KILLED; empty while it has no end."""
        found = journal.existing(self.journal_dir, journal_id)
        if (delivered := found.delivered()) is not None:
            return delivered.status or ""
        last = found.operations()[-1:]
        return str(last[0].data["status"]) if last and last[0].kind == "end" else ""

    def close_journal(self, journal_id: str, status: str = "KILLED") -> None:
        """Write the end of a run whose process died; one that has an end is left alone.

        Raises:
            Conflict: the process still lives.
            NotFound: there is no such journal.
        """
        if status not in ENDINGS:
            raise InvalidInput(f"A run ends as one of {', '.join(ENDINGS)}, not {status!r}.")
        found = journal.existing(self.journal_dir, journal_id)
        if found.delivered():
            return
        writer = journal.Writer(found)
        try:
            operations = found.operations()
            if operations and operations[-1].kind != "end":
                writer.append("end", {"status": status, "end_time": now_ms()})
        finally:
            writer.close()

    def new_journal(self, journal_id: str) -> journal.Journal:
        """A journal that nobody has used.

        Raises:
            Conflict: the id is taken.
        """
        made = journal.Journal(self.journal_dir, journal_id)
        if made.exists:
            raise Conflict(f"Run journal {journal_id} exists already; a new run needs a new one.")
        return made

    def run_id_of_journal(self, journal_id: str) -> str:
        """MLflow's id of a journal's run, made in MLflow if it is not there yet."""
        return delivery.deliver_start(self, journal.existing(self.journal_dir, journal_id))

    def is_available(self) -> bool:
        """True when MLflow answers now."""
        try:
            return self.ping()
        except Unreachable:
            return False

    def close(self) -> None:
        """Close the connections."""
        self.transport.close()


_store: BreakerStore = MemoryStore()
_shared: MLflowConnector | None = None
_lock = threading.Lock()


def get_connector() -> MLflowConnector:
    """The connector of this process, made from the settings when first asked for."""
    global _shared
    with _lock:
        url, folder = settings.MLFLOW_TRACKING_URI, Path(settings.MLFLOW_JOURNAL_DIR)
        if _shared is None or (_shared.transport.url, _shared.journal_dir) != (
            url.rstrip("/"),
            folder,
        ):
            _shared = MLflowConnector(url, folder, store=_store, guard_token=settings.GUARD_TOKEN)
        return _shared


def set_breaker_store(store: BreakerStore) -> None:
    """Keep the breaker's state in `store`, e.g. one that all processes share."""
    global _store, _shared
    with _lock:
        _store, _shared = store, None


def _after_fork() -> None:
    """A forked child starts anew: its parent's sockets and locks are not its own."""
    global _store, _shared, _lock
    _lock = threading.Lock()
    _shared = None
    if isinstance(_store, MemoryStore):
        _store = MemoryStore()


os.register_at_fork(after_in_child=_after_fork)
