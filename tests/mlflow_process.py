"""Real MLflow servers: one shared by all xdist workers of a run, and others of one's own."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

from tests.services import free_port

START_SECONDS = 90
ROOT = Path(__file__).resolve().parent.parent


def shared_server(run_dir: Path) -> str:
    """URL of the run's server. The first caller starts it; `clean_up` ends it."""
    return _once(run_dir, "mlflow", lambda: fork_server(run_dir / "mlflow"))


def clean_up(run_dir: Path) -> None:
    """End what all tests of a run share, and remove the run's directory."""
    for note in run_dir.glob("*.json"):
        stop_group(json.loads(note.read_text())[0])
    shutil.rmtree(run_dir, ignore_errors=True)


def fork_server(
    folder: Path, *, store: str = "", options: tuple[str, ...] = (), **more: str
) -> tuple[int, str]:
    """As `start_server`, within half a second, in a run of the tests. See tests.mlflow_forks."""
    run_dir = Path(os.environ["E2I_TEST_DIR"])
    address = _once(run_dir, "mlflow-forks", lambda: _start_forking(run_dir))
    url, arguments, environment = _prepared(folder, store, options, more)
    log = folder / "server.log"
    request = {"arguments": arguments, "environment": environment, "log": str(log)}
    with socket.socket(socket.AF_UNIX) as connection, connection.makefile("rw") as channel:
        connection.connect(address)
        channel.write(json.dumps(request) + "\n")
        channel.flush()
        pid = int(channel.readline())
    _wait_until(lambda: answers(f"{url}/health"), pid, log)
    return pid, url


def start_server(
    folder: Path,
    *,
    guard: dict[str, str] | None = None,
    store: str = "",
    options: tuple[str, ...] = (),
    **more: str,
) -> tuple[int, str]:
    """Start `mlflow server` and wait until it answers; its process group and URL.

    Args:
        folder: for its log, its files, and its database where no `store` is given.
        guard: variables of the guard, to start it behind that, as `make run` does.
        options: of the command, added to the usual ones, as `more` is to its environment.
    """
    program = ["-m", "mlflow", "server"] if guard is None else ["manage.py", "mlflow_server"]
    url, arguments, environment = _prepared(folder, store, options, {**more, **(guard or {})})
    log = folder / "server.log"
    pid = _start([*program, *arguments], environment, log)
    _wait_until(lambda: answers(f"{url}/health"), pid, log)
    return pid, url


def _prepared(
    folder: Path, store: str, options: tuple[str, ...], more: dict[str, str]
) -> tuple[str, list[str], dict[str, str]]:
    """The URL, arguments and environment of a server."""
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    arguments = [
        "-w", "1", "--host", "127.0.0.1", "--port", str(port),
        "--backend-store-uri", store or f"sqlite:///{folder / 'mlflow.sqlite3'}",
        "--artifacts-destination", str(folder / "artifacts"), *options,
    ]  # fmt: skip
    environment = {
        **os.environ,
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        # Webhooks may come to this machine, and soon after they are registered.
        "MLFLOW_WEBHOOK_ALLOWED_SCHEMES": "http,https",
        "MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS": "true",
        "MLFLOW_WEBHOOK_CACHE_TTL": "1",
        **more,
    }
    environment.pop("MLFLOW_TRACKING_URI", None)
    return f"http://127.0.0.1:{port}", arguments, environment


def _start_forking(run_dir: Path) -> tuple[int, str]:
    address = run_dir / "mlflow-forks.socket"
    log = run_dir / "mlflow-forks.log"
    command = ["-m", "tests.mlflow_forks", str(address)]
    pid = _start(command, dict(os.environ), log)
    _wait_until(address.exists, pid, log)
    return pid, str(address)


def _once(run_dir: Path, name: str, start: Callable[[], tuple[int, str]]) -> str:
    """Where that answers which `start` started for the first process of the run that asked."""
    note = run_dir / f"{name}.json"
    with (run_dir / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not note.exists():
            note.write_text(json.dumps(start()))
        return str(json.loads(note.read_text())[1])


def _start(command: list[str], environment: dict[str, str], log: Path) -> int:
    with log.open("ab") as out:
        return subprocess.Popen(
            [sys.executable, *command],
            stdout=out,
            stderr=out,
            env=environment,
            start_new_session=True,
            cwd=ROOT,
        ).pid


def _wait_until(ready: Callable[[], bool], pid: int, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and _lives(pid):
        if ready():
            return
        time.sleep(0.05)
    stop_group(pid)
    tail = log.read_text(errors="replace")[-2000:]
    raise RuntimeError(f"MLflow did not start within {START_SECONDS} s:\n{tail}")


def _lives(pid: int) -> bool:
    """True while a process of the group is there."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
    try:
        os.killpg(pid, 0)
    except ProcessLookupError:
        return False
    return True


def stop_group(pid: int, *, politely: float = 5.0) -> None:
    """End a process group: politely for so many seconds, then not."""
    for sig, seconds in ((signal.SIGTERM, politely), (signal.SIGKILL, 2.0)):
        try:
            os.killpg(pid, sig)
        except ProcessLookupError:
            return
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if not _lives(pid):
                return
            time.sleep(0.05)


def answers(url: str) -> bool:
    """True when a GET gives 200."""
    try:
        with urllib.request.urlopen(url, timeout=2) as response:
            return bool(response.status == 200)
    except OSError:
        return False
