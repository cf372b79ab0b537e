"""The trail: entries recorded a second, each in its own transaction, and entries verified.

Compared with the same rows written to, and read from, a table of the same columns and indexes
that has no chain. On SQLite, and on the PostgreSQL of this machine where there is one.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from benchmarks._harness import Report, Result, parser, say
from benchmarks._parts import clean_up_when_stopped, folder, set_up_site

THREADS = (1, 4)
ROUNDS = 3
CHANGES = {"stage": "production", "digest": "0" * 64, "metrics": {"roc_auc": 0.7125, "n": 20190}}
REASON = "Better than the version that serves now, by the shadow window's figures."


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--entries", type=int, help="recorded by each measurement")
    arguments.add_argument("--database", help="measure only this database, given by its URL")
    options = arguments.parse_args()
    entries = options.entries or (20_000 if options.full else 300)
    if options.database is not None:
        measure(options.database, entries).finish()
        return
    clean_up_when_stopped()
    report = Report("trail", {"entries": entries, "threads": "1, 4", "rounds": ROUNDS})
    add_child(report, "SQLite", "", entries)
    with postgres() as url:
        if url:
            add_child(report, "PostgreSQL", url, entries)
        else:
            report.notes.append("No PostgreSQL on localhost, so it was not measured.")
    report.notes += [
        "An entry waits for the one before it, because its hash covers that one's: the chain is "
        "written one transaction after the other, whatever the number of threads.",
        "Verification is compared with reading the same columns through the same ORM.",
    ]
    report.finish()


def add_child(report: Report, label: str, database: str, entries: int) -> None:
    """Measure one database in a process of its own: Django is set up for one."""
    say(label)
    command = [sys.executable, "-m", "benchmarks.trail"]
    command += ["--database", database, "--entries", str(entries)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
    for each in json.loads(done.stdout)["results"]:
        report.results.append(
            Result(f"{label}, {each['what']}", each["ours"], each["unit"], each["theirs"])
        )


@contextlib.contextmanager
def postgres() -> Iterator[str]:
    """URL of a new database on localhost, dropped afterwards; empty where there is no server."""
    import psycopg2

    from tests.services import Missing, local_postgres

    server = local_postgres()
    if isinstance(server, Missing):
        say(server.reason)
        yield ""
        return
    name = f"e2i_bench_{secrets.token_hex(4)}"
    connection = psycopg2.connect(server)
    connection.autocommit = True
    try:
        with connection.cursor() as cursor:
            cursor.execute(f"CREATE DATABASE {name}")
            try:
                yield f"{server.rpartition('/')[0]}/{name}"
            finally:
                cursor.execute(f"DROP DATABASE {name} WITH (FORCE)")
    finally:
        connection.close()


def measure(database: str, entries: int) -> Report:
    """Both ways of writing at each number of threads, then both ways of reading."""
    report = Report("trail", {"entries": entries})
    with folder() as data:
        set_up_site(data, database=database)
        from django.contrib.auth.models import User

        user = User.objects.create_user("benchmark")
        plain_table = make_plain_table()
        for threads in THREADS:
            label = f"recorded, {threads} thread{'s' if threads > 1 else ''}"
            ours, theirs = rates(recorder(user), plain_writer(plain_table, user), threads, entries)
            report.add(label, ours, "entries/s", theirs=theirs)
        report.add("verified", verified_rate(), "entries/s", theirs=read_rate(plain_table))
    return report


def rates(
    ours: Callable[[], None], theirs: Callable[[], None], threads: int, entries: int
) -> tuple[float, float]:
    """Transactions a second of each, in turns: what else the machine does slows both."""
    share = entries // ROUNDS // threads
    spent = [0.0, 0.0]
    for write in (ours, theirs):
        write()
    for _ in range(ROUNDS):
        for side, write in enumerate((ours, theirs)):
            spent[side] += seconds_for(write, threads, share)
    return share * threads * ROUNDS / spent[0], share * threads * ROUNDS / spent[1]


def seconds_for(write: Callable[[], None], threads: int, each: int) -> float:
    """Wall time of `threads` threads that write `each` times."""
    from django.db import connection

    def work(_: int) -> None:
        try:
            for _ in range(each):
                write()
        finally:
            connection.close()

    with ThreadPoolExecutor(threads) as pool:
        begun = time.perf_counter()
        list(pool.map(work, range(threads)))
        return time.perf_counter() - begun


def recorder(user: Any) -> Callable[[], None]:
    from django.db import transaction

    from e2i_site.trail import events
    from e2i_site.trail.record import record

    event = "benchmarks.thing.happened"
    if not events.is_registered(event):
        events.register(event, "Something was measured")

    def write() -> None:
        with transaction.atomic():
            record(event, actor=user, subject=user, new=CHANGES, reason=REASON, scope="model:m")

    return write


def make_plain_table() -> Any:
    """A model with the trail's columns and indexes, its own counter and no chain."""
    from django.db import connection, models

    from e2i_site.trail.models import TrailEntry

    old = TrailEntry._meta
    fields = {field.name: field.clone() for field in old.local_fields if not field.primary_key}
    indexes = [
        models.Index(fields=index.fields, name=f"plain_{number}")
        for number, index in enumerate(old.indexes)
    ]
    meta = type(
        "Meta", (), {"app_label": "benchmarks", "db_table": "plain_entry", "indexes": indexes}
    )
    body = {"__module__": __name__, "id": models.BigAutoField(primary_key=True), "Meta": meta}
    table = type("PlainEntry", (models.Model,), {**body, **fields})
    with connection.schema_editor() as editor:
        editor.create_model(table)
    return table


def plain_writer(table: Any, user: Any) -> Callable[[], None]:
    import uuid

    from django.db import transaction
    from django.utils import timezone

    def write() -> None:
        with transaction.atomic():
            table.objects.create(
                at=timezone.now(),
                event="benchmarks.thing.happened",
                actor=user,
                actor_name=user.username,
                source="command",
                request_id=uuid.uuid4(),
                subject_type="auth.user",
                subject_id=str(user.pk),
                subject_label=str(user),
                scope="model:m",
                reason=REASON,
                changes=json.dumps({"old": {}, "new": CHANGES}),
                previous_hash="0" * 64,
                hash=secrets.token_hex(32),
            )

    return write


def verified_rate() -> float:
    from e2i_site.trail.record import verify

    begun = time.perf_counter()
    found = verify()
    seconds = time.perf_counter() - begun
    if not found.ok:
        raise RuntimeError(f"The trail does not verify: {found.message}")
    return found.entries / seconds


def read_rate(table: Any) -> float:
    begun = time.perf_counter()
    count = sum(1 for _ in table.objects.order_by("id").iterator(2000))
    return count / (time.perf_counter() - begun)


if __name__ == "__main__":
    main()
