"""Mirroring MLflow: a full import over REST, a short sync and a full one with nothing new.

Compared with a raw sweep of the same server: the same pages of the same search, parsed as JSON
and thrown away. That is the least that any reader of MLflow's REST API has to wait for.
"""

from __future__ import annotations

import contextlib
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks._harness import Report, parser, say
from benchmarks._parts import folder, mlflow_server, set_up_site
from benchmarks._store import experiment_rows, run_row

EXPERIMENTS = 10
METRICS = [f"metric_{number}" for number in range(8)]
PARAMS = [f"hp_param_{number}" for number in range(8)]
TAGS = {"framework": "sklearn", "algorithm": "LightGBM", "team": "benchmarks", "purpose": "speed"}
PAGE = 1000
# What a sync writes to keep its own lease and cursor.
OWN_TABLE = "ml_sync_state"


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--runs", type=int, help="runs in MLflow")
    options = arguments.parse_args()
    runs = options.runs or (10_000 if options.full else 2000)
    report = Report(
        "sync",
        {
            "runs": runs,
            "experiments": EXPERIMENTS,
            "metrics_a_run": len(METRICS),
            "params_a_run": len(PARAMS),
            "tags_a_run": len(TAGS),
        },
    )
    with folder() as place, mlflow_server(place / "mlflow") as url:
        fill(place / "mlflow" / "mlflow.sqlite3", runs)
        set_up_site(place / "site", mlflow=url)
        measure(report, url, runs)
    report.notes += [
        "The runs were written into MLflow's SQLite store directly; all else goes over REST.",
        "The sweep was measured before and after the import; the mean of both is the comparison.",
        "Rows written are statements that insert, update or delete, without those for the lease "
        "and cursor of the sync itself.",
    ]
    report.finish()


def measure(report: Report, url: str, runs: int) -> None:
    from registry.sync import sync

    sweep(url)  # MLflow's first answer is slow
    before = timed_sweep(url, runs)
    imported = sync(full=True)
    if imported.runs.created != runs:
        raise RuntimeError(f"{imported.runs.created} of {runs} runs were imported.")
    raw = (before + timed_sweep(url, runs)) / 2
    report.add("full import", imported.seconds, "s", theirs=raw)
    report.add("full import", runs / imported.seconds, "runs/s", theirs=runs / raw)
    report.add("requests of the full import", imported.requests, "requests")
    for what, full in (("short sync", False), ("full sync", True)):
        with counted_writes() as writes:
            again = sync(full=full)
        theirs = raw if full else None
        report.add(f"{what}, nothing changed", again.seconds, "s", theirs=theirs)
        report.add(f"{what}, nothing changed: requests", again.requests, "requests")
        report.add(f"{what}, nothing changed: rows written", len(writes), "statements")


def timed_sweep(url: str, runs: int) -> float:
    begun = time.perf_counter()
    found = sweep(url)
    seconds = time.perf_counter() - begun
    if found != runs:
        raise RuntimeError(f"The sweep found {found} of {runs} runs.")
    say(f"raw sweep: {seconds:.2f} s")
    return seconds


def sweep(url: str) -> int:
    """Read every run of every experiment, keep nothing; how many there were."""
    import httpx

    api, found, token = f"{url}/api/2.0/mlflow", 0, ""
    with httpx.Client(timeout=120) as client:
        listed = client.get(f"{api}/experiments/search", params={"max_results": PAGE})
        ids = [each["experiment_id"] for each in listed.raise_for_status().json()["experiments"]]
        while True:
            query = {"experiment_ids": ids, "max_results": PAGE, "run_view_type": "ACTIVE_ONLY"}
            query |= {"page_token": token} if token else {}
            page = client.post(f"{api}/runs/search", json=query).raise_for_status().json()
            found += len(page.get("runs", []))
            token = page.get("next_page_token", "")
            if not token:
                return found


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


def fill(store: Path, runs: int) -> None:
    """Write experiments and finished runs of the last month into MLflow's store."""
    from mlflow.store.tracking.dbmodels import models as tables
    from sqlalchemy import create_engine, insert

    begun = time.perf_counter()
    ids = [uuid.uuid4().hex for _ in range(runs)]
    month, now = 30 * 86_400_000, int(time.time() * 1000) - 3_600_000
    starts = [now - month + number * month // runs for number in range(runs)]
    engine = create_engine(f"sqlite:///{store}", connect_args={"timeout": 60})
    with engine.begin() as connection:
        for table, rows in (
            (tables.SqlExperiment, experiment_rows(EXPERIMENTS, at=now)),
            (tables.SqlRun, map(_run, range(runs), ids, starts)),
            (tables.SqlTag, _pairs(ids, TAGS.items())),
            (tables.SqlParam, _pairs(ids, ((name, "0.25") for name in PARAMS))),
            (tables.SqlMetric, _metrics(ids, starts)),
            (tables.SqlLatestMetric, _metrics(ids, starts)),
        ):
            connection.execute(insert(table), list(rows))
    engine.dispose()
    say(f"{runs} runs are in MLflow ({time.perf_counter() - begun:.1f} s)")


def _run(number: int, run_id: str, start: int) -> dict[str, Any]:
    experiment = number % EXPERIMENTS + 1
    return run_row(
        run_id,
        number,
        experiment=experiment,
        user="bench",
        status="FINISHED",
        start=start,
        end=start + 60_000,
    )


def _pairs(ids: list[str], pairs: Any) -> Iterator[dict[str, Any]]:
    known = list(pairs)
    for run_id in ids:
        for key, value in known:
            yield {"run_uuid": run_id, "key": key, "value": value}


def _metrics(ids: list[str], starts: list[int]) -> Iterator[dict[str, Any]]:
    for number, (run_id, start) in enumerate(zip(ids, starts, strict=True)):
        for name in METRICS:
            yield {
                "run_uuid": run_id,
                "key": name,
                "value": number / len(ids),
                "timestamp": start,
                "step": 0,
                "is_nan": False,
            }


if __name__ == "__main__":
    main()
