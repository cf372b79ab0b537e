"""`python -m e2i_site.run` as people start it, where it must refuse: each refusal is one line."""

from __future__ import annotations

import base64
import os
import socket
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from e2i_site.run import preflight
from tests.services import free_port

ROOT = Path(__file__).resolve().parents[2]


def _environment(folder: Path, **extra: str) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("E2I_", "MLFLOW_", "DJANGO"))}
    kept.pop("DATABASE_URL", None)
    ports = {name: str(free_port()) for name in ("WEB_PORT", "MLFLOW_PORT", "GATEWAY_PORT")}
    return {**kept, **ports, "E2I_DATA_DIR": str(folder / "data"), "E2I_DEMO": "0", **extra}


def _refused(environment: dict[str, str]) -> str:
    """Start it; it must end with status 2 and say one line, which is returned."""
    done = subprocess.run(
        [sys.executable, "-m", "e2i_site.run"],
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=90, check=False,
    )  # fmt: skip
    assert done.returncode == 2, done.stdout + done.stderr
    output = (done.stdout + done.stderr).splitlines()
    lines = [line for line in output if not line.startswith("e2i       | Preparing")]
    assert len(lines) == 1, lines
    return lines[0]


def test_a_taken_port(tmp_path: Path) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        line = _refused(_environment(tmp_path, GATEWAY_PORT=str(port)))
    assert f"Port {port} is taken" in line
    assert "GATEWAY_PORT" in line


def test_one_port_for_two(tmp_path: Path) -> None:
    port = str(free_port())
    line = _refused(_environment(tmp_path, GATEWAY_PORT=port, WEB_PORT=port))
    assert "GATEWAY_PORT and WEB_PORT are both" in line


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("WEB_PORT", "eighty"),
        ("DATABASE_URL", "mysql://root@localhost/e2i"),
        ("E2I_TRAINERS", "0"),
        ("E2I_LOG_LEVEL", "loud"),
        ("E2I_DATA_DIR", "/dev/null/data"),
    ],
)
def test_a_value_that_cannot_be_used_is_named(tmp_path: Path, name: str, value: str) -> None:
    assert name in _refused(_environment(tmp_path, **{name: value}))


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    wrong = tmp_path / "notes.txt"
    wrong.write_text("not a database, " * 100)
    line = _refused(_environment(tmp_path, DATABASE_URL=f"sqlite:///{wrong}"))
    assert str(wrong) in line
    assert "DATABASE_URL" in line


def test_a_locked_database(tmp_path: Path) -> None:
    path = tmp_path / "locked.sqlite3"
    with sqlite3.connect(path, isolation_level=None) as holder:
        holder.execute("CREATE TABLE anything (id integer)")
        holder.execute("BEGIN EXCLUSIVE")
        line = _refused(_environment(tmp_path, DATABASE_URL=f"sqlite:///{path}"))
    assert "locked" in line


def test_an_unreachable_database(tmp_path: Path) -> None:
    url = f"postgresql://e2i:hunter2@127.0.0.1:{free_port()}/e2i"
    line = _refused(_environment(tmp_path, DATABASE_URL=url))
    assert "cannot be used" in line
    assert "hunter2" not in line


@pytest.mark.parametrize(
    ("url", "hint"),
    [
        ("sqlite:///{folder}/empty.sqlite3", "Run python manage.py migrate"),
        ("sqlite:///{folder}/missing/e2i.sqlite3", "Check DATABASE_URL"),
        ("postgresql://e2i:hunter2@127.0.0.1:{port}/e2i", "Check DATABASE_URL"),
    ],
)
def test_commands_say_in_one_line_what_is_wrong_with_the_database(
    tmp_path: Path, url: str, hint: str
) -> None:
    url = url.format(folder=tmp_path, port=free_port())
    done = subprocess.run(
        [sys.executable, "manage.py", "verify_trail"],
        cwd=ROOT, env=_environment(tmp_path, DATABASE_URL=url),
        capture_output=True, text=True, timeout=90, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert hint in done.stderr
    assert "hunter2" not in done.stderr


def test_our_own_mlflow_may_send_webhooks_and_keeps_its_key(tmp_path: Path) -> None:
    key = preflight.fernet_key(tmp_path)
    assert preflight.fernet_key(tmp_path) == key
    assert (tmp_path / "mlflow-webhook-key").stat().st_mode & 0o077 == 0
    assert len(base64.urlsafe_b64decode(key)) == 32
