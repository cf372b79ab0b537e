"""The supervisor with small real processes: restart, stop, and nothing left behind."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.mlflow_process import stop_group

ROOT = Path(__file__).resolve().parents[2]
# Starts a child of its own, notes both pids, and sleeps. `stubborn` ignores SIGTERM.
FAMILY = """
import os, signal, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
if "stubborn" in sys.argv: signal.signal(signal.SIGTERM, signal.SIG_IGN)
open(sys.argv[1], "a").write(f"{os.getpid()} {child.pid}\\n")
print("ready", flush=True)
time.sleep(600)
"""
MAIN = """
import asyncio, os, sys
from pathlib import Path
from e2i_site.run.supervisor import Program, Supervisor
async def main():
    async with Supervisor(os.environ, Path.cwd()) as supervisor:
        supervisor.keep(Program("family", (sys.executable, *sys.argv[1:])))
        await supervisor.stop.wait()
asyncio.run(main())
"""


class Running:
    """A supervisor of one family of processes."""

    def __init__(self, folder: Path, *extra: str) -> None:
        self.note = folder / "pids"
        script = folder / "family.py"
        script.write_text(FAMILY)
        command = [sys.executable, "-c", MAIN, str(script), str(self.note), *extra]
        self.process = subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True
        )

    def pids(self, families: int = 1) -> list[int]:
        """Pids of the last family, once `families` have started."""
        end = time.monotonic() + 30
        while time.monotonic() < end:
            lines = self.note.read_text().splitlines() if self.note.exists() else []
            if len(lines) >= families:
                return [int(pid) for pid in lines[families - 1].split()]
            time.sleep(0.05)
        raise AssertionError(f"family {families} did not start")

    def stop(self, sig: signal.Signals) -> str:
        self.process.send_signal(sig)
        output, _ = self.process.communicate(timeout=20)
        return output


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Running]:
    running = Running(tmp_path)
    yield running
    stop_group(running.process.pid)


def _gone(pids: list[int], seconds: float = 10) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if not any(_alive(pid) for pid in pids):
            return True
        time.sleep(0.05)
    return False


def _alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    except OSError:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, 0)
            return True
        return False
    return state != "Z"


@pytest.mark.parametrize("sig", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_children_and_grandchildren(started: Running, sig: signal.Signals) -> None:
    pids = started.pids()
    output = started.stop(sig)
    assert started.process.returncode == 0
    assert _gone(pids)
    assert "family    | ready" in output


def test_sigkill_of_the_supervisor_leaves_nothing(started: Running) -> None:
    pids = started.pids()
    started.stop(signal.SIGKILL)
    assert _gone(pids)


def test_nothing_outlives_the_make_that_started_it(tmp_path: Path) -> None:
    makefile = tmp_path / "Makefile"
    script = tmp_path / "family.py"
    script.write_text(FAMILY)
    (tmp_path / "main.py").write_text(MAIN)
    note = tmp_path / "pids"
    makefile.write_text(f"run:\n\t@{sys.executable} {tmp_path}/main.py {script} {note}\n")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    make = subprocess.Popen(
        ["make", "-f", makefile, "run"], cwd=ROOT, env=environment, start_new_session=True
    )
    try:
        end = time.monotonic() + 30
        while not note.exists() and time.monotonic() < end:
            time.sleep(0.05)
        time.sleep(0.2)
        pids = [int(pid) for pid in note.read_text().split()]
        make.kill()
        make.wait()
        assert _gone(pids)
    finally:
        stop_group(make.pid)


def test_a_fallen_child_is_started_again_and_its_family_ended(started: Running) -> None:
    first = started.pids()
    os.kill(first[0], signal.SIGKILL)
    second = started.pids(families=2)
    assert _gone(first)
    output = started.stop(signal.SIGTERM)
    assert _gone(second)
    assert "family ended (killed by SIGKILL); it starts again in 1 s." in output


def test_the_second_signal_does_not_wait(tmp_path: Path) -> None:
    running = Running(tmp_path, "stubborn")
    try:
        pids = running.pids()
        begin = time.monotonic()
        running.process.send_signal(signal.SIGINT)
        time.sleep(0.5)
        running.stop(signal.SIGINT)
        assert _gone(pids)
        assert time.monotonic() - begin < 6
    finally:
        stop_group(running.process.pid)
