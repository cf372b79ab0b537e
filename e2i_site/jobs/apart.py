"""Processes of their own for isolated jobs.

Libraries with threads do not survive a fork, and importing them takes seconds. So a process that
has ended a job waits a while for the next one, and is not started anew for each.
"""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator

from django.conf import settings

LINGER_SECONDS = 30
# What libraries never give back goes with the process.
MOST_JOBS = 10
_TAKEN, _ENDED = b"t", b"e"

_idle: list[_Child] = []
_lock = threading.Lock()


def run(job_id: int, token: uuid.UUID) -> int:
    """Have a claimed job run in a process of its own; 0, or the status with which that ended.

    The process stays in the worker's group, so that stopping the group stops it. It renews the
    lease itself: when only the worker dies, it still ends the job properly.
    """
    child = next((idle for idle in _idle_ones() if idle.takes(job_id, token)), None)
    if child is None:
        child = _Child()
        child.takes(job_id, token)
    if not child.ends():
        return child.process.wait()
    with _lock:
        _idle.append(child)
    return 0


def offers(descriptor: int) -> Iterator[tuple[int, uuid.UUID]]:
    """In such a process: jobs to run and their lease tokens, until none comes for a while."""
    with socket.socket(fileno=descriptor) as channel:
        channel.settimeout(LINGER_SECONDS)
        for _ in range(MOST_JOBS):
            try:
                offered = channel.recv(100).decode()
            except TimeoutError:
                return
            if not offered:
                return
            channel.sendall(_TAKEN)
            job_id, token = offered.split()
            yield int(job_id), uuid.UUID(token)
            channel.sendall(_ENDED)


class _Child:
    """A process that runs `run_jobs`, and the channel to it."""

    def __init__(self) -> None:
        self._channel, theirs = socket.socketpair()
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, settings.BASE_DIR / "manage.py", "run_jobs", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
            )

    def takes(self, job_id: int, token: uuid.UUID) -> bool:
        """Offer a job. False when the process has ended, or waited long enough."""
        with contextlib.suppress(OSError):
            self._channel.sendall(f"{job_id} {token}".encode())
        return self._hears(_TAKEN)

    def ends(self) -> bool:
        """Wait for the end of the job; False when the process ended instead."""
        return self._hears(_ENDED)

    def _hears(self, word: bytes) -> bool:
        try:
            heard = self._channel.recv(1) == word
        except OSError:
            heard = False
        if not heard:
            self._channel.close()
        return heard


def _idle_ones() -> Iterator[_Child]:
    while True:
        with _lock:
            if not _idle:
                return
            child = _idle.pop()
        yield child
