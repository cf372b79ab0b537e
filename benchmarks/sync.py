"""Mirroring MLflow: full imports over REST and from MLflow's SQL tables, and short syncs.

Compared with a raw sweep of the same server: the same runs of the same search, an experiment at a
time in the largest pages, parsed as JSON and thrown away. That is the least that any reader of
MLflow's REST API has to wait for. MLflow's store and E2I's database are both on SQLite, then both
on PostgreSQL, where there is one.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, nullcontext
from pathlib import Path
from statistics import fmean
from typing import Any

from benchmarks._harness import Report, parser, say
from benchmarks._parts import folder, mlflow_server
from benchmarks._store import experiment_rows, run_row
from benchmarks.trail import postgres

EXPERIMENTS = 10
METRICS = [f"metric_{number}" for number in range(8)]
PARAMS = [f"hp_param_{number}" for number in range(8)]
TAGS = {"framework": "sklearn", "algorithm": "LightGBM", "team": "benchmarks", "purpose": "speed"}
PAGE = 5000
CHUNK = 10_000


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--runs", type=int, nargs="+", help="runs in MLflow, ascending")
    arguments.add_argument("--engine", choices=("sqlite", "postgresql"), help="this one only")
    arguments.add_argument(
        "--rest-up-to", type=int, default=100_000, help="more runs are not imported over REST"
    )
    arguments.add_argument(
        "--rounds", type=int, default=1, help="imports of each kind; the quickest counts"
    )
    options = arguments.parse_args()
    sizes = options.runs or ([10_000, 100_000] if options.full else [500, 2000])
    report = Report(
        "sync",
        {
            "runs": ", ".join(map(str, sizes)),
            "experiments": EXPERIMENTS,
            "metrics_a_run": len(METRICS),
            "params_a_run": len(PARAMS),
            "tags_a_run": len(TAGS),
        },
    )
    for engine in (options.engine,) if options.engine else ("sqlite", "postgresql"):
        ticks = [
            _measure(report, engine, runs, options.rounds, rest=runs <= options.rest_up_to)
            for runs in sizes
        ]
        if len(sizes) > 1 and all(ticks):
            among = f"among {sizes[-1]:,} runs, among {sizes[0]:,} beside"
            for what, figure in (("", "seconds"), (" without MLflow", "own")):
                report.add(
                    f"{engine}: short sync{what} {among}",
                    ticks[-1][figure],
                    "s",
                    theirs=ticks[0][figure],
                )
    report.notes += [
        "The runs were written into MLflow's store directly. MLflow's server has one worker, so "
        "there is one search over REST at a time.",
        "The sweep was measured before and after each import over REST; of several rounds the "
        "quickest import is compared with the mean of the sweeps before and after it.",
        "A short sync is the median of five with nothing new; without "
        "MLflow: less the time until MLflow answered.",
        "Rows written are statements that insert, update or delete, without those for the lease "
        "and cursor of the sync itself. Memory is the most that the process held.",
    ]
    report.finish()


def _measure(
    report: Report, engine: str, runs: int, rounds: int, *, rest: bool
) -> dict[str, float]:
    """Both imports of `runs` runs; figures of the short sync, empty without the engine."""
    with ExitStack() as stack:
        place = stack.enter_context(folder())
        store = f"sqlite:///{place / 'mlflow' / 'mlflow.sqlite3'}"
        if engine == "postgresql":
            theirs = stack.enter_context(postgres())
            if not theirs:
                report.notes.append("PostgreSQL: none on localhost, not measured.")
                return {}
            store = theirs.replace(":", "+psycopg2:", 1)
        url = stack.enter_context(mlflow_server(place / "mlflow", store))
        fill(store, runs)
        sweep(url, limit=1)  # MLflow's first answer is slow
        name = f"{engine}, {runs:,} runs"
        over_rest = _over_rest(report, name, url, runs, place, rounds) if rest else None
        sql = _quickest(
            [
                _import(url, place / f"sql-{each}", engine, runs, "--store", store)
                for each in range(rounds)
            ]
        )
        theirs_s = over_rest["seconds"] if over_rest else None
        report.add(f"{name}: import from MLflow's tables", sql["seconds"], "s", theirs=theirs_s)
        report.add(f"{name}: import from MLflow's tables, own processor", sql["processor"], "s")
        report.add(f"{name}: import from MLflow's tables, memory", sql["peak_mb"], "MB")
        tick = sql["tick"]
        report.add(f"{name}: short sync, nothing new", tick["seconds"], "s")
        report.add(f"{name}: short sync, nothing new, without MLflow", tick["own"], "s")
        report.add(f"{name}: short sync, nothing new, own processor", tick["processor"], "s")
        report.add(f"{name}: short sync, nothing new, rows written", tick["writes"], "statements")
        return dict(tick)


def _over_rest(
    report: Report, name: str, url: str, runs: int, place: Path, rounds: int
) -> dict[str, Any]:
    engine = name.partition(",")[0]
    sweeps, imports = [timed_sweep(url, runs)], []
    for each in range(rounds):
        imports.append(_import(url, place / f"rest-{each}", engine, runs, "--again"))
        sweeps.append(timed_sweep(url, runs))
    found = _quickest(imports)
    place_in_line = imports.index(found)
    raw = fmean(sweeps[place_in_line : place_in_line + 2])
    report.add(f"{name}: full import over REST", found["seconds"], "s", theirs=raw)
    report.add(f"{name}: full import over REST, own processor", found["processor"], "s")
    report.add(f"{name}: full import over REST, requests", found["requests"], "requests")
    report.add(f"{name}: full import over REST, memory", found["peak_mb"], "MB")
    again = min(each["again"] for each in imports)
    report.add(f"{name}: full sync over REST, nothing new", again, "s", theirs=raw)
    report.add(f"{name}: the same, rows written", found["again_writes"], "statements")
    return found


def _quickest(imports: list[dict[str, Any]]) -> dict[str, Any]:
    return min(imports, key=lambda each: float(each["seconds"]))


def _import(url: str, data: Path, engine: str, runs: int, *more: str) -> dict[str, Any]:
    """Into a new E2I, whose database is gone afterwards."""
    command = [sys.executable, "-m", "benchmarks._sync", "--mlflow", url, "--data", str(data)]
    with postgres() if engine == "postgresql" else nullcontext("") as database:
        command += ["--database", database, *more]
        done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
    found: dict[str, Any] = json.loads(done.stdout)
    if found["created"] != runs:
        raise RuntimeError(f"{found['created']} of {runs} runs were imported.")
    return found


def timed_sweep(url: str, runs: int) -> float:
    begun = time.perf_counter()
    found = sweep(url)
    seconds = time.perf_counter() - begun
    if found != runs:
        raise RuntimeError(f"The sweep found {found} of {runs} runs.")
    say(f"raw sweep: {seconds:.2f} s")
    return seconds


def sweep(url: str, limit: int = EXPERIMENTS + 1) -> int:
    """Read every run of the first `limit` experiments, keep nothing; how many there were."""
    import httpx

    api, found = f"{url}/api/2.0/mlflow", 0
    with httpx.Client(timeout=300) as client:
        listed = client.get(f"{api}/experiments/search", params={"max_results": 1000})
        ids = [each["experiment_id"] for each in listed.raise_for_status().json()["experiments"]]
        for experiment in ids[:limit]:
            token = None
            while token != "":
                query = {"experiment_ids": [experiment], "max_results": PAGE}
                query |= {"run_view_type": "ALL", "order_by": ["attributes.start_time ASC"]}
                query |= {"page_token": token} if token else {}
                page = client.post(f"{api}/runs/search", json=query).raise_for_status().json()
                found += len(page.get("runs", []))
                token = page.get("next_page_token", "")
    return found


def fill(store: str, runs: int) -> None:
    """Write experiments and finished runs of the last month into MLflow's store."""
    from mlflow.store.tracking.dbmodels import models as tables
    from sqlalchemy import create_engine, insert

    begun = time.perf_counter()
    month, now = 30 * 86_400_000, int(time.time() * 1000) - 3_600_000
    engine = create_engine(
        store, connect_args={"timeout": 60} if store.startswith("sqlite") else {}
    )
    with engine.begin() as connection:
        connection.execute(insert(tables.SqlExperiment), list(experiment_rows(EXPERIMENTS, at=now)))
        for first in range(0, runs, CHUNK):
            numbers = range(first, min(first + CHUNK, runs))
            ids = [uuid.uuid4().hex for _ in numbers]
            starts = [now - month + number * month // runs for number in numbers]
            for table, rows in (
                (tables.SqlRun, map(_run, numbers, ids, starts)),
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
