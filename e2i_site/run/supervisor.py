"""Keeps a handful of processes running in the foreground.

Each process leads a group of its own, so that stopping it stops what it started. A process that
ends is started again, later each time. A guard ends all groups should this process be killed.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from e2i_site.run import guard

STOP_SECONDS = 8.0
BACKOFF_SECONDS = (1, 2, 5, 10, 30)
# A process that ran this long was well; its next fall counts as the first.
HEALTHY_SECONDS = 60
LINE_LIMIT = 1 << 20
# As a shell says it: the command was not found or not allowed.
NOT_STARTED = 127
COLOURS = ("36", "32", "33", "35", "34", "31")


@dataclass(frozen=True)
class Program:
    """A process to run: its name in the log, and its command line."""

    name: str
    command: tuple[str, ...]


class Supervisor:
    """Runs programs until `stop` is set."""

    def __init__(self, environment: Mapping[str, str], folder: Path) -> None:
        self.stop = asyncio.Event()
        self._environment = dict(environment)
        self._folder = folder
        self._groups: set[int] = set()
        self._tasks: set[asyncio.Task[int] | asyncio.Task[None]] = set()
        self._follower: asyncio.Task[None] | None = None
        self._guard: asyncio.subprocess.Process | None = None
        self._colours = dict[str, str]()

    async def __aenter__(self) -> Supervisor:
        self._guard = await asyncio.create_subprocess_exec(
            sys.executable, "-S", "-E", str(guard.__file__),
            stdin=asyncio.subprocess.PIPE, start_new_session=True,
        )  # fmt: skip
        loop = asyncio.get_running_loop()
        for sig in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(sig, self._asked_to_stop)
        if "MAKELEVEL" in os.environ:
            self._follower = asyncio.create_task(self._follow_parent())
        return self

    async def __aexit__(self, *_: object) -> None:
        """End every group: politely, then after STOP_SECONDS, or at the second signal, not."""
        self.stop.set()
        self._signal_all(signal.SIGTERM)
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=STOP_SECONDS)
        self._signal_all(signal.SIGKILL)
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=2)
        if self._guard is not None and self._guard.stdin is not None:
            self._guard.stdin.close()
            await self._guard.wait()

    def keep(self, program: Program) -> None:
        """Start `program`, and start it again whenever it ends, until the stop."""
        task = asyncio.create_task(self._keep(program), name=program.name)
        self._tasks.add(task)

    async def run_once(self, program: Program) -> int:
        """Run `program` to its end or the stop; its exit status, negative for a signal."""
        task = asyncio.create_task(self._run(program))
        self._tasks.add(task)
        stop = asyncio.create_task(self.stop.wait())
        await asyncio.wait({task, stop}, return_when=asyncio.FIRST_COMPLETED)
        stop.cancel()
        return task.result() if task.done() else -int(signal.SIGTERM)

    async def pause(self, seconds: float) -> bool:
        """Wait; True when it is time to stop."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.stop.wait(), seconds)
        return self.stop.is_set()

    def say(self, line: str, name: str = "e2i") -> None:
        """One line on the terminal, marked with who says it; without a name as it is."""
        mark = f"{name:9} | " if name else ""
        if name and sys.stdout.isatty():
            colour = self._colours.setdefault(name, COLOURS[len(self._colours) % len(COLOURS)])
            mark = f"\033[{colour}m{mark}\033[0m"
        with contextlib.suppress(OSError, ValueError):
            print(f"{mark}{line}", flush=True)

    async def _follow_parent(self) -> None:
        """`make` passes signals on, but cannot pass on the one that it cannot catch."""
        parent = os.getppid()
        while not await self.pause(1):
            if os.getppid() != parent:
                self._asked_to_stop()

    async def _keep(self, program: Program) -> None:
        falls = 0
        while not self.stop.is_set():
            started = time.monotonic()
            status = await self._run(program)
            if self.stop.is_set():
                return
            falls = 1 if time.monotonic() - started > HEALTHY_SECONDS else falls + 1
            delay = BACKOFF_SECONDS[min(falls, len(BACKOFF_SECONDS)) - 1]
            self.say(f"{program.name} ended ({_describe(status)}); it starts again in {delay} s.")
            await self.pause(delay)

    async def _run(self, program: Program) -> int:
        # A pipe of our own: asyncio's would hold the wait until grandchildren close it too.
        read_end, write_end = os.pipe()
        try:
            process = await asyncio.create_subprocess_exec(
                *program.command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=write_end,
                stderr=write_end,
                env=self._environment,
                cwd=self._folder,
                start_new_session=True,
            )
        except OSError as error:
            os.close(read_end)
            self.say(f"{program.command[0]} cannot be started: {error.strerror}.")
            return NOT_STARTED
        finally:
            os.close(write_end)
        with self._guarded(process.pid):
            pump = asyncio.create_task(self._pump(read_end, program.name))
            if self.stop.is_set():
                process.terminate()
            status = await process.wait()
            # What the process itself started and did not end.
            _signal(process.pid, signal.SIGKILL)
            await asyncio.wait([pump], timeout=2)
            pump.cancel()
            return status

    async def _pump(self, pipe: int, name: str) -> None:
        """Say every line that comes through `pipe`."""
        reader = asyncio.StreamReader(limit=LINE_LIMIT)
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(pipe, "rb", 0)
        )
        with contextlib.closing(transport):
            while True:
                try:
                    line = await reader.readline()
                except ValueError:
                    continue  # A line beyond the limit; the reader has dropped it.
                if not line:
                    return
                self.say(line.decode(errors="replace").rstrip(), name)

    @contextlib.contextmanager
    def _guarded(self, group: int) -> Iterator[None]:
        self._groups.add(group)
        self._tell_guard(f"+{group}\n")
        try:
            yield
        finally:
            self._groups.discard(group)
            self._tell_guard(f"-{group}\n")

    def _tell_guard(self, line: str) -> None:
        if self._guard is not None and self._guard.stdin is not None:
            self._guard.stdin.write(line.encode())

    def _asked_to_stop(self) -> None:
        if self.stop.is_set():
            self._signal_all(signal.SIGKILL)
            return
        self.say("Stopping.")
        self.stop.set()

    def _signal_all(self, sig: signal.Signals) -> None:
        for group in self._groups:
            _signal(group, sig)


def _signal(group: int, sig: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, sig)


def _describe(status: int) -> str:
    if status >= 0:
        return f"exit status {status}"
    return f"killed by {signal.Signals(-status).name}"
