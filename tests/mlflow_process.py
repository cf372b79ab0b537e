"""One real MLflow server for the whole run, shared by all xdist workers."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from tests.services import free_port

START_SECONDS = 90
ROOT = Path(__file__).resolve().parent.parent


def shared_server(run_dir: Path) -> str:
    """URL of the run's server. The first caller starts it; `clean_up` ends it."""
    note = run_dir / "mlflow.json"
    with (run_dir / "mlflow.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if note.exists():
            return str(json.loads(note.read_text())["url"])
        process, url = start_server(run_dir / "mlflow")
        note.write_text(json.dumps({"url": url, "pid": process.pid}))
        return url


def clean_up(run_dir: Path) -> None:
    """End the server that `shared_server` started, if it did, and remove the run's directory."""
    note = run_dir / "mlflow.json"
    if note.exists():
        stop_group(json.loads(note.read_text())["pid"])
    shutil.rmtree(run_dir, ignore_errors=True)


def start_server(
    folder: Path,
    port: int | None = None,
    *,
    guard: dict[str, str] | None = None,
    options: tuple[str, ...] = (),
    **more: str,
) -> tuple[subprocess.Popen[bytes], str]:
    """Start `mlflow server` with its store in `folder` and wait until it answers.

    `guard`: variables of the guard, to start it behind that, as `make run` does. `options` of the
    command and `more` of its environment are added to the usual ones.
    """
    folder.mkdir(parents=True, exist_ok=True)
    port = port or free_port()
    url = f"http://127.0.0.1:{port}"
    program = ["-m", "tests.mlflow_alone"] if guard is None else ["manage.py", "mlflow_server"]
    command = [
        sys.executable, *program, "-w", "1",
        "--host", "127.0.0.1", "--port", str(port),
        "--backend-store-uri", f"sqlite:///{folder / 'mlflow.sqlite3'}",
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
        **(guard or {}),
    }
    environment.pop("MLFLOW_TRACKING_URI", None)
    with (folder / "server.log").open("ab") as log:
        process = subprocess.Popen(
            command,
            stdout=log,
            stderr=log,
            env=environment,
            start_new_session=True,
            cwd=ROOT,
        )
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        if answers(f"{url}/health"):
            return process, url
        time.sleep(0.1)
    stop_group(process.pid)
    tail = (folder / "server.log").read_text(errors="replace")[-2000:]
    raise RuntimeError(f"MLflow did not start within {START_SECONDS} s:\n{tail}")


def stop_group(pid: int, *, politely: float = 5.0) -> None:
    """End a process group: politely for so many seconds, then not."""
    for sig, seconds in ((signal.SIGTERM, politely), (signal.SIGKILL, 2.0)):
        try:
            os.killpg(pid, sig)
        except ProcessLookupError:
            return
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
            try:
                os.killpg(pid, 0)
            except ProcessLookupError:
                return
            time.sleep(0.05)


def answers(url: str) -> bool:
    """True when a GET gives 200."""
    try:
        with urllib.request.urlopen(url, timeout=2) as response:
            return bool(response.status == 200)
    except OSError:
        return False
