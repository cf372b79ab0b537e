"""Processes of their own for tasks, kept for a while for the next one.

Libraries with threads do not survive a fork, and importing them takes seconds. So a process that
has ended a task waits for another, and is not started anew for each.
"""

from __future__ import annotations

import contextlib
import socket
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

LINGER_SECONDS = 30
# What libraries never give back goes with the process.
MOST_TASKS = 10
_LONGEST_TASK = 4096
_TAKEN, _ENDED = b"t", b"e"


class Lingering:
    """Runs tasks in processes started by `command`, which gets the number of its channel appended.

    The processes stay in the caller's group, so that stopping the group stops them.

    Args:
        folder: where they work.
        environment, stdout: theirs; by default the caller's.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        folder: Path,
        environment: Mapping[str, str] | None = None,
        stdout: int | None = None,
    ) -> None:
        self._command = command
        self._options = {"cwd": folder, "env": environment, "stdout": stdout}
        self.idle: list[_Child] = []
        self._lock = threading.Lock()

    def run(self, task: str, seconds: float | None = None) -> int:
        """Have a task done; 0, or the status with which its process ended.

        Raises:
            TimeoutError: taking or doing it took more than so many seconds; its process was killed.
        """
        child = next((idle for idle in self._idle_ones() if idle.takes(task, seconds)), None)
        if child is None:
            child = _Child(self._command, self._options)
            child.takes(task, seconds)
        if not child.ends(seconds):
            return child.process.wait()
        with self._lock:
            self.idle.append(child)
        return 0

    def _idle_ones(self) -> Iterator[_Child]:
        while True:
            with self._lock:
                if not self.idle:
                    return
                child = self.idle.pop()
            yield child


def tasks(descriptor: int) -> Iterator[str]:
    """In such a process: what to do, until nothing comes for a while."""
    with socket.socket(fileno=descriptor) as channel:
        channel.settimeout(LINGER_SECONDS)
        for _ in range(MOST_TASKS):
            try:
                task = channel.recv(_LONGEST_TASK).decode()
            except TimeoutError:
                return
            if not task:
                return
            channel.sendall(_TAKEN)
            yield task
            channel.sendall(_ENDED)


class _Child:
    """A process that does tasks, and the channel to it."""

    def __init__(self, command: Sequence[str], options: Mapping[str, Any]) -> None:
        self._channel, theirs = socket.socketpair()
        with theirs:
            self.process = subprocess.Popen(
                [*command, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                **options,
            )

    def takes(self, task: str, seconds: float | None) -> bool:
        """Offer a task. False when the process has ended, or waited long enough."""
        with contextlib.suppress(OSError):
            self._channel.sendall(task.encode())
        return self._hears(_TAKEN, seconds)

    def ends(self, seconds: float | None) -> bool:
        """Wait for the end of the task; False when the process ended instead."""
        return self._hears(_ENDED, seconds)

    def _hears(self, word: bytes, seconds: float | None) -> bool:
        try:
            self._channel.settimeout(seconds)
            heard = self._channel.recv(1) == word
        except TimeoutError:
            self.process.kill()
            self.process.wait()
            self._channel.close()
            raise
        except OSError:
            heard = False
        if not heard:
            self._channel.close()
        return heard
