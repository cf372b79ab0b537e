"""What is to be written to MLflow, on disk before it is sent.

A journal is a folder per run:

    journal.jsonl   one operation a line, appended and fsynced, never changed
    files/N/        copies of the files that operation N sends
    state.json      how far delivery is, and the ids that MLflow gave
    writer.lock     held by the process that tracks the run, as long as it lives
    delivery.lock   held by whoever delivers

A delivered journal becomes one small file in `delivered/`.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any

from e2i_site.core.errors import InvalidInput
from e2i_site.mlflow_connector.errors import Conflict, NotFound

_ID = re.compile(r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,119}$")
_DELIVERED = "delivered"


@dataclass(frozen=True)
class ReplayResult:
    """What MLflow has of a run. Ids are None until MLflow gave them.

    `problems` names operations that MLflow refused for good; the others were delivered.
    """

    journal_id: str
    done: bool = False
    run_id: str | None = None
    experiment_id: str | None = None
    status: str | None = None
    model_id: str | None = None
    model_uri: str | None = None
    model_name: str | None = None
    model_version: str | None = None
    digest: str | None = None
    problems: tuple[str, ...] = ()


@dataclass(frozen=True)
class PendingJournal:
    """A journal that is not delivered to its end. `writing`: the tracking process still lives."""

    journal_id: str
    started_at: float
    writing: bool
    ended: bool
    waiting: int
    mlflow_run_id: str | None


@dataclass(frozen=True)
class State:
    """How far delivery is: `position` operations are done, which are `offset` bytes of lines."""

    position: int = 0
    offset: int = 0
    run_id: str | None = None
    experiment_id: str | None = None
    artifact_uri: str | None = None
    status: str | None = None
    model_id: str | None = None
    model_name: str | None = None
    model_version: str | None = None
    digest: str | None = None
    ended: bool = False
    problems: tuple[str, ...] = ()


@dataclass(frozen=True)
class Operation:
    """One line of a journal; the next one begins at byte `end`."""

    number: int
    end: int
    kind: str
    data: dict[str, Any] = field(default_factory=dict)


class Journal:
    """One journal on disk."""

    def __init__(self, root: Path, journal_id: str) -> None:
        self.root = root
        self.journal_id = checked_id(journal_id)
        self.folder = root / journal_id
        self._lines = self.folder / "journal.jsonl"
        self._state = self.folder / "state.json"
        self._record = root / _DELIVERED / f"{journal_id}.json"

    @property
    def exists(self) -> bool:
        """True when the journal is there, delivered or not."""
        return self._lines.exists() or self._record.exists()

    def operations(self, number: int = 0, offset: int = 0) -> list[Operation]:
        """The operations from `number` on, which begins at byte `offset`.

        A line cut short by a crash was never promised, so it is left out.
        """
        try:
            with self._lines.open("rb") as stream:
                stream.seek(offset)
                content = stream.read()
        except FileNotFoundError:
            return []
        found = []
        for line in content[: content.rfind(b"\n") + 1].splitlines(keepends=True):
            offset += len(line)
            found.append(Operation(number, offset, *_kind_and_data(line)))
            number += 1
        return found

    def state(self) -> State:
        """How far delivery is."""
        try:
            data = json.loads(self._state.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return State()
        return State(**{**data, "problems": tuple(data["problems"])})

    def save_state(self, state: State) -> None:
        """Replace the state, durably."""
        write_durably(self._state, json.dumps(asdict(state)).encode())

    def delivered(self) -> ReplayResult | None:
        """The result of a journal that was delivered to its end."""
        try:
            data = json.loads(self._record.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        return ReplayResult(**{**data, "problems": tuple(data["problems"])})

    def retire(self, result: ReplayResult) -> None:
        """Keep the result and drop the rest."""
        self._record.parent.mkdir(exist_ok=True)
        write_durably(self._record, json.dumps(asdict(result)).encode())
        shutil.rmtree(self.folder, ignore_errors=True)

    def file_of(self, operation: Operation) -> Path:
        """The copied file or folder that an operation sends."""
        return self.folder / "files" / str(operation.data["file"])

    @contextmanager
    def delivering(self, *, wait: bool) -> Iterator[bool]:
        """Hold the right to deliver; yields False when somebody else has it and `wait` is off."""
        try:
            lock = (self.folder / "delivery.lock").open("a")
        except FileNotFoundError:
            yield True  # delivered meanwhile: nothing to exclude
            return
        with lock:
            yield _lock(lock, wait=wait)

    @property
    def is_being_written(self) -> bool:
        """True while the process that tracks the run lives."""
        with (self.folder / "writer.lock").open("a") as lock:
            return not _lock(lock, wait=False)


class Writer:
    """Appends to a journal. One process, one run; `append` is not for two threads at once."""

    def __init__(self, journal: Journal) -> None:
        """Start a new journal, or take over one whose process died.

        Raises:
            Conflict: the process that writes it still lives.
        """
        self.journal = journal
        journal.folder.mkdir(parents=True, exist_ok=True)
        self._lock = (journal.folder / "writer.lock").open("a")
        if not _lock(self._lock, wait=False, tries=10):  # others only glance at it
            self._lock.close()
            raise Conflict(f"Run journal {journal.journal_id} is still being written.")
        path = journal.folder / "journal.jsonl"
        self._stream = path.open("ab")
        content = path.read_bytes()
        self._stream.truncate(content.rfind(b"\n") + 1)  # a line cut short by a crash
        self._count = content.count(b"\n")
        _sync_folder(journal.folder)
        _sync_folder(journal.root)

    def append(self, kind: str, data: dict[str, Any], file: Path | None = None) -> int:
        """Write one operation durably, with a copy of its file; returns its number."""
        if file is not None:
            data = {**data, "file": self._keep(file)}
        line = json.dumps({"at": time.time(), "kind": kind, **data}, separators=(",", ":"))
        self._stream.write(line.encode() + b"\n")
        self._stream.flush()
        os.fsync(self._stream.fileno())
        self._count += 1
        return self._count - 1

    def _keep(self, source: Path) -> str:
        if not source.exists():
            raise InvalidInput(f"There is no file or folder {source} to log.")
        place = self.journal.folder / "files" / str(self._count)
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        copy = place / source.name
        if source.is_dir():
            shutil.copytree(source, copy)
        else:
            shutil.copyfile(source, copy)
        for path in (copy, *copy.rglob("*")):
            _sync(path)
        for folder in (place, place.parent, self.journal.folder):
            _sync(folder)
        return f"{self._count}/{source.name}"

    def close(self) -> None:
        """Give the lock back."""
        self._stream.close()
        self._lock.close()


def checked_id(journal_id: str) -> str:
    """A journal id that is safe as a folder name."""
    if not _ID.match(journal_id) or journal_id == _DELIVERED:
        raise InvalidInput(
            f"{journal_id!r} cannot name a run journal; use letters, digits, '.', '-' and '_'."
        )
    return journal_id


def existing(root: Path, journal_id: str) -> Journal:
    """The journal of that id.

    Raises:
        NotFound: there is none.
    """
    journal = Journal(root, journal_id)
    if not journal.exists:
        raise NotFound(f"There is no run journal {journal_id} in {root}.")
    return journal


def pending(root: Path) -> list[PendingJournal]:
    """Journals that are not delivered to their end, oldest first."""
    if not root.is_dir():
        return []
    found = []
    for folder in root.iterdir():
        if folder.name == _DELIVERED or not (folder / "journal.jsonl").exists():
            continue
        journal = Journal(root, folder.name)
        if journal.delivered():  # the process died between recording and clearing up
            shutil.rmtree(folder, ignore_errors=True)
        elif operations := journal.operations():
            found.append(_summary(journal, operations))
    return sorted(found, key=lambda each: each.started_at)


def _summary(journal: Journal, operations: list[Operation]) -> PendingJournal:
    state = journal.state()
    return PendingJournal(
        journal_id=journal.journal_id,
        started_at=operations[0].data["at"],
        writing=journal.is_being_written,
        ended=operations[-1].kind == "end",
        waiting=len(operations) - state.position,
        mlflow_run_id=state.run_id,
    )


def _kind_and_data(line: bytes) -> tuple[str, dict[str, Any]]:
    data = json.loads(line)
    return data.pop("kind"), data


def _lock(stream: IO[str], *, wait: bool, tries: int = 1) -> bool:
    """Lock an open file until it is closed; False when somebody else has it."""
    if wait:
        fcntl.flock(stream, fcntl.LOCK_EX)
        return True
    for attempt in range(tries):
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if attempt + 1 < tries:
                time.sleep(0.02)
    return False


def write_durably(path: Path, content: bytes) -> None:
    """Replace a file so that a crash leaves either the old or the new one."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    with fresh.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    fresh.replace(path)
    _sync_folder(path.parent)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


_sync_folder = _sync
