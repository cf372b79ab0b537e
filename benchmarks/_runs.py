"""The page of runs among many: time in the database, and MLflow's search of an equal store.

A process of its own, for a database of its own. Prints the report of `benchmarks.pages` that it
adds to.
"""

from __future__ import annotations

import contextlib
import json
import random
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

import httpx

from benchmarks._harness import Report, parser, say
from benchmarks._parts import folder, mlflow_server, set_up_site
from benchmarks._store import experiment_rows, run_row

EXPERIMENTS = 20
METRICS = ("auc", "f1", "loss", "recall", "precision", "seconds")
LAST = datetime(2026, 6, 1, tzinfo=UTC)
CHUNK = 20_000
REPEATS = 20


@dataclass(frozen=True)
class Run:
    """What both stores hold of a run."""

    number: int
    run_id: str
    experiment: int
    status: str
    user: str
    started: datetime
    params: dict[str, str]
    tags: dict[str, str]
    metrics: dict[str, float]

    @property
    def ended(self) -> datetime:
        return self.started + timedelta(minutes=5)


def runs(count: int) -> Iterator[Run]:
    """Always the same runs: common and rare parameters and tags, metrics without a pattern."""
    chance = random.Random(7)
    for number in range(1, count + 1):
        yield Run(
            number=number,
            run_id=f"{number:032x}",
            experiment=number % EXPERIMENTS + 1,
            status="FAILED" if number % 20 == 0 else "FINISHED",
            user=f"user{number % 50}",
            started=LAST - timedelta(seconds=10 * (count - number)),
            params={
                "lr": str(10.0 ** -(number % 8)),
                "depth": str(number % 10),
                "seed": str(number),
                "batch": str((number // 10 + 123) % 500),
                **{f"option_{each}": "default" for each in range(4)},
            },
            tags={
                "team": f"team{number % 10}",
                "mlflow.user": f"user{number % 50}",
                "mlflow.source.type": "LOCAL",
                "note": "rare" if number % 2003 == 7 else "common",
                "host": f"host{number % 30}",
            },
            metrics={name: chance.random() for name in METRICS},
        )


@dataclass(frozen=True)
class Question:
    """A page of ours, and MLflow's filter and order for the same content."""

    what: str
    q: str
    sort: str
    filter: str
    order: str


QUESTIONS = (
    Question("newest first", "", "-started", "", "attributes.start_time DESC"),
    Question(
        "metric>0.9, by the metric",
        "metric.auc>0.9",
        "-metric.auc",
        "metrics.auc > 0.9",
        "metrics.auc DESC",
    ),
    Question(
        "metric<0.9, by another metric",
        "metric.auc<0.9",
        "metric.loss",
        "metrics.auc < 0.9",
        "metrics.loss ASC",
    ),
    Question(
        "common parameter, by a metric",
        "param.depth=3",
        "-metric.auc",
        "params.depth = '3'",
        "metrics.auc DESC",
    ),
    Question(
        "rare parameter, by a metric",
        "param.batch=123",
        "-metric.auc",
        "params.batch = '123'",
        "metrics.auc DESC",
    ),
    Question(
        "rare tag, by a metric",
        "tag.note:rare",
        "-metric.auc",
        "tags.note = 'rare'",
        "metrics.auc DESC",
    ),
    Question(
        "rare tag, newest first",
        "tag.note:rare",
        "-started",
        "tags.note = 'rare'",
        "attributes.start_time DESC",
    ),
    Question(
        "parameter, tag, status and metric, by another metric",
        "param.depth=3 tag.team:team3 status:finished metric.auc>0.5",
        "-metric.f1",
        "params.depth = '3' and tags.team = 'team3' and attributes.status = 'FINISHED' "
        "and metrics.auc > 0.5",
        "metrics.f1 DESC",
    ),
    Question(
        "one user, by a metric",
        "user:user7",
        "-metric.auc",
        "attributes.user_id = 'user7'",
        "metrics.auc DESC",
    ),
)


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--runs", type=int, default=20_000)
    arguments.add_argument("--database", default="", help="URL; by default SQLite")
    arguments.add_argument("--mlflow-store", default="", help="URI; by default SQLite")
    arguments.add_argument("--alone", action="store_true", help="without MLflow beside it")
    options = arguments.parse_args()
    report = Report("pages", {"runs": options.runs})
    with folder() as place, contextlib.ExitStack() as stack:
        url = ""
        if not options.alone:
            url = stack.enter_context(mlflow_server(place / "mlflow", options.mlflow_store))
            fill_mlflow(
                options.mlflow_store or f"sqlite:///{place / 'mlflow' / 'mlflow.sqlite3'}",
                options.runs,
            )
        set_up_site(place / "site", database=options.database)
        fill_ours(options.runs)
        measure(report, url)
    report.finish()


def measure(report: Report, url: str) -> None:
    client = viewer()
    for question in QUESTIONS:
        page = {"q": question.q, "sort": question.sort, "columns": "auc,f1,param.depth"}
        theirs = _mlflow_ms(url, question) if url else None
        found = [asked(client, "/training/", page) for _ in range(REPEATS + 2)][2:]
        database = [each.database for each in found]
        report.add(f"{question.what}: database", statistics.median(database), "ms")
        report.add(f"{question.what}: database, least", min(database), "ms")
        whole = statistics.median(each.whole for each in found)
        report.add(f"{question.what}: whole answer", whole, "ms", theirs=theirs)


def viewer() -> Any:
    """A client of somebody who may look, which asks for the list alone."""
    from django.contrib.auth.models import Group, User
    from django.test import Client

    from e2i_site.core.roles import Role

    person = User.objects.create_user("bench")
    person.groups.add(Group.objects.get(name=Role.VIEWER))
    client = Client(SERVER_NAME="localhost", headers={"HX-Request": "true", "HX-Target": "results"})
    client.force_login(person, backend="django.contrib.auth.backends.ModelBackend")
    return client


@dataclass(frozen=True)
class Answer:
    """Milliseconds of the whole answer and of its queries with their rows, and how many."""

    whole: float
    database: float
    queries: int


def asked(client: Any, path: str, page: dict[str, str]) -> Answer:
    """Ask for a page of a list, which must not be empty."""
    from django.db import connection

    spent, queries = 0.0, 0

    def listen(execute: Callable[..., Any], *query: Any) -> Any:
        nonlocal spent, queries
        queries += 1
        begun = time.perf_counter()
        try:
            return execute(*query)
        finally:
            spent += time.perf_counter() - begun

    with connection.execute_wrapper(listen):
        begun = time.perf_counter()
        answer = client.get(path, page)
        whole = time.perf_counter() - begun
    if answer.status_code != 200 or b'scope="row"' not in answer.content:
        raise RuntimeError(f"{path} {page}: {answer.status_code}, or nothing was found")
    return Answer(whole * 1000, spent * 1000, queries)


def _mlflow_ms(url: str, question: Question) -> float:
    body = {
        "experiment_ids": [str(number) for number in range(1, EXPERIMENTS + 1)],
        "filter": question.filter,
        "order_by": [question.order],
        "max_results": 50,
    }
    times: list[float] = []
    with httpx.Client(base_url=f"{url}/api/2.0/mlflow", timeout=300) as client:
        while len(times) < 6 and sum(times) < 20_000:
            begun = time.perf_counter()
            found = client.post("/runs/search", json=body).raise_for_status().json()
            times.append((time.perf_counter() - begun) * 1000)
            if not found.get("runs"):
                raise RuntimeError(f"MLflow finds nothing for {question.what}")
    return statistics.median(times[1:] or times)


# --- filling the stores -----------------------------------------------------------------------


def fill_ours(count: int) -> None:
    """Write the runs as the mirror would."""
    from django.db import connection

    from training.models import MlflowExperiment, TrainingRun

    begun = time.perf_counter()
    MlflowExperiment.objects.bulk_create(
        MlflowExperiment(mlflow_id=str(number), name=f"bench_{number}")
        for number in range(1, EXPERIMENTS + 1)
    )
    blank = {
        field.column: field.get_db_prep_save(field.pre_save(TrainingRun(), True), connection)
        for field in TrainingRun._meta.concrete_fields
    }
    # psycopg2 wraps what is JSON.
    blank = {
        name: json.dumps(value.adapted) if hasattr(value, "adapted") else value
        for name, value in blank.items()
    }
    for some in _chunks(runs(count)):
        rows = ({**blank, **_ours(run)} for run in some)
        _write("ml_training_runs", list(blank), (list(row.values()) for row in rows))
        metrics = ((run.number, key, value) for run in some for key, value in run.metrics.items())
        _write("ml_run_metrics", ["run_id", "key", "value"], metrics)
        say(f"{some[-1].number:,} runs are here ({time.perf_counter() - begun:.0f} s)")
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE" if connection.vendor == "postgresql" else "ANALYZE")


def _ours(run: Run) -> dict[str, Any]:
    return {
        "id": run.number,
        "mlflow_run_id": run.run_id,
        "mlflow_experiment_id": str(run.experiment),
        "mlflow_available": True,
        "run_name": f"run-{run.number}",
        "source": "mlflow",
        "role": "other",
        "status": run.status.lower(),
        "user_name": run.user,
        "started_at": run.started.isoformat(sep=" ")[:19],
        "completed_at": run.ended.isoformat(sep=" ")[:19],
        "created_at": run.ended.isoformat(sep=" ")[:19],
        "duration_seconds": 300.0,
        "params": json.dumps(run.params),
        "tags": json.dumps(run.tags),
        "metrics": json.dumps(run.metrics),
    }


def _write(table: str, columns: list[str], rows: Any) -> None:
    """Many rows by the quickest way each database has."""
    from django.db import connection, transaction

    names = ", ".join(f'"{name}"' for name in columns)
    with transaction.atomic(), connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.copy_expert(f"COPY {table} ({names}) FROM STDIN", _Lines(rows))
        else:
            marks = ", ".join("?" for _ in columns)
            cursor.connection.executemany(
                f"INSERT INTO {table} ({names}) VALUES ({marks})",
                rows,
            )


class _Lines:
    """Rows as the file that COPY reads."""

    def __init__(self, rows: Any) -> None:
        self.lines = ("\t".join(map(_field, row)) + "\n" for row in rows)

    def read(self, size: int = -1) -> str:
        return next(self.lines, "")


def _field(value: Any) -> str:
    return r"\N" if value is None else str(value).replace("\\", "\\\\").replace("\t", "\\t")


def fill_mlflow(store: str, count: int) -> None:
    """Write the same runs into MLflow's store, whose tables MLflow made."""
    from mlflow.store.tracking.dbmodels import models as tables
    from sqlalchemy import create_engine, insert, text

    begun = time.perf_counter()
    engine = create_engine(store)
    with engine.begin() as connection:
        connection.execute(insert(tables.SqlExperiment), list(experiment_rows(EXPERIMENTS)))
    for some in _chunks(runs(count)):
        with engine.begin() as connection:
            for table, rows in _theirs(tables, some):
                connection.execute(insert(table), list(rows))
        say(f"{some[-1].number:,} runs are in MLflow ({time.perf_counter() - begun:.0f} s)")
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("ANALYZE"))
    engine.dispose()


def _chunks(found: Iterator[Run]) -> Iterator[tuple[Run, ...]]:
    while some := tuple(islice(found, CHUNK)):
        yield some


def _theirs(tables: Any, some: tuple[Run, ...]) -> Iterator[tuple[Any, Iterator[dict[str, Any]]]]:
    def pairs(kind: str) -> Iterator[dict[str, Any]]:
        for run in some:
            for key, value in getattr(run, kind).items():
                yield {"run_uuid": run.run_id, "key": key, "value": value}

    def metrics() -> Iterator[dict[str, Any]]:
        for row in pairs("metrics"):
            yield {**row, "timestamp": 0, "step": 0, "is_nan": False}

    yield tables.SqlRun, map(_their_run, some)
    yield tables.SqlTag, pairs("tags")
    yield tables.SqlParam, pairs("params")
    yield tables.SqlMetric, metrics()
    yield tables.SqlLatestMetric, metrics()


def _their_run(run: Run) -> dict[str, Any]:
    return run_row(
        run.run_id,
        run.number,
        experiment=run.experiment,
        user=run.user,
        status=run.status,
        start=int(run.started.timestamp() * 1000),
        end=int(run.ended.timestamp() * 1000),
    )


if __name__ == "__main__":
    main()
