"""One E2I that mirrors MLflow: a full import, then short syncs with nothing new.

A process of its own, so that its memory is the sync's. Prints what it measured as JSON.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

from benchmarks._parts import set_up_site

# What a sync writes to keep its own lease and cursor.
OWN_TABLE = "ml_sync_state"
TICKS = 5


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--mlflow", required=True, help="URL of the server")
    arguments.add_argument("--data", type=Path, required=True, help="E2I's directory")
    arguments.add_argument("--database", default="", help="E2I's database; SQLite when empty")
    arguments.add_argument("--store", default="", help="MLflow's database, to be read directly")
    arguments.add_argument("--readers", type=int, default=1, help="searches over REST at once")
    arguments.add_argument("--again", action="store_true", help="a second full sync, too")
    options = arguments.parse_args()
    set_up_site(options.data, mlflow=options.mlflow, database=options.database)
    from django.conf import settings

    settings.E2I_SYNC_READERS = options.readers
    if options.store:
        settings.MLFLOW_BACKEND_STORE_URI = options.store
    json.dump(measure(again=options.again), sys.stdout)


def measure(*, again: bool) -> dict[str, Any]:
    from registry.measuring.memory import peak_bytes
    from registry.sync import sync

    begun = time.process_time()
    imported = sync(full=True)
    used = time.process_time() - begun
    if imported.problems or imported.notes:
        raise RuntimeError(f"{imported.problems} {imported.notes}")
    found = {
        "created": imported.runs.created,
        "seconds": imported.seconds,
        "processor": used,
        "requests": imported.requests,
        "peak_mb": peak_bytes() / 2**20,
        "tick": _ticks(),
    }
    if again:
        with counted_writes() as writes:
            found["again"] = sync(full=True).seconds
        found["again_writes"] = len(writes)
    return found


def _ticks() -> dict[str, float]:
    """Short syncs with nothing new; the first, which looks back past the import, is left out."""
    from registry.sync import sync

    sync()
    reports, processor, own, written = [], [], [], 0
    for _ in range(TICKS):
        begun = time.process_time()
        with counted_writes() as writes, waits_for_mlflow() as waits:
            reports.append(sync())
        processor.append(time.process_time() - begun)
        own.append(reports[-1].seconds - sum(waits))
        written += len(writes)
    return {
        "seconds": statistics.median(report.seconds for report in reports),
        "own": statistics.median(own),
        "processor": statistics.median(processor),
        "requests": reports[-1].requests,
        "writes": written,
    }


@contextlib.contextmanager
def waits_for_mlflow() -> Iterator[list[float]]:
    """Seconds from each question to MLflow until its answer was there."""
    import httpx

    waits: list[float] = []
    send = httpx.Client.send

    def timed(client: httpx.Client, *arguments: Any, **named: Any) -> httpx.Response:
        begun = time.perf_counter()
        try:
            return send(client, *arguments, **named)
        finally:
            waits.append(time.perf_counter() - begun)

    with mock.patch.object(httpx.Client, "send", timed):
        yield waits


@contextlib.contextmanager
def counted_writes() -> Iterator[list[str]]:
    """The statements that change rows of the mirror."""
    from django.db import connection

    written: list[str] = []

    def listen(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if sql.startswith(("INSERT", "UPDATE", "DELETE")) and OWN_TABLE not in sql:
            written.append(sql)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(listen):
        yield written


if __name__ == "__main__":
    main()
