"""Parts of E2I that a benchmark starts by itself, each in a temporary directory."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks._harness import say

_OURS = ("E2I_", "MLFLOW_", "CELERY_", "SECRET_KEY", "DATABASE_URL", "ALLOWED_HOSTS")


def clean_up_when_stopped() -> None:
    """SIGTERM ends this process as an exception does, so that nothing is left running."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))


@contextlib.contextmanager
def folder() -> Iterator[Path]:
    """A directory that is gone afterwards."""
    clean_up_when_stopped()
    with tempfile.TemporaryDirectory(prefix="e2i-bench-", ignore_cleanup_errors=True) as made:
        yield Path(made)


@contextlib.contextmanager
def mlflow_server(where: Path, store: str = "") -> Iterator[str]:
    """URL of an MLflow server with its store in `where`/mlflow.sqlite3, or at the URI `store`."""
    from tests.mlflow_process import start_server, stop_group

    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    pid, url = start_server(where, store=store)
    say(f"MLflow answers at {url}")
    try:
        yield url
    finally:
        stop_group(pid)


def set_up_site(data: Path, *, mlflow: str = "http://127.0.0.1:9", database: str = "") -> None:
    """Make this process an E2I with its state in `data`, migrated. Once a process.

    `mlflow` is by default an address where nothing listens; `database` by default SQLite.
    """
    for name in [name for name in os.environ if name.startswith(_OURS)]:
        del os.environ[name]
    os.environ |= {
        "DJANGO_SETTINGS_MODULE": "e2i_site.settings",
        "E2I_DATA_DIR": str(data),
        "MLFLOW_TRACKING_URI": mlflow,
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
        **({"DATABASE_URL": database} if database else {}),
    }
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0)
    say(f"E2I's database is ready in {data}" if not database else "E2I's database is ready")
