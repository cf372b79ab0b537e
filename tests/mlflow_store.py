"""Where an MLflow server of the tests keeps what it knows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import quote

from django.db import connection


@contextmanager
def store_like_ours(folder: Path) -> Iterator[str]:
    """URI of a store on SQLite in `folder`, or in a database beside ours on PostgreSQL."""
    if connection.vendor == "sqlite":
        yield f"sqlite:///{folder / 'mlflow.sqlite3'}"
        return
    given = connection.settings_dict
    name = f"{given['NAME']}_mlflow"
    _run(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)', f'CREATE DATABASE "{name}"')
    login = quote(given["USER"]) + (f":{quote(given['PASSWORD'])}" if given["PASSWORD"] else "")
    place = f"{given['HOST']}:{given['PORT'] or 5432}/{name}"
    if socket := given["OPTIONS"].get("host"):
        place = f"/{name}?host={socket}"
    yield f"postgresql+psycopg2://{login}@{place}"
    _run(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


def _run(*statements: str) -> None:
    """Outside our own connection, which may be in a transaction."""
    import psycopg2

    given = connection.settings_dict
    login = {
        "host": given["OPTIONS"].get("host") or given["HOST"],
        "port": given["PORT"] or 5432,
        "user": given["USER"],
        "password": given["PASSWORD"],
    }
    with closing(psycopg2.connect(dbname="postgres", **login)) as there:
        there.autocommit = True
        for statement in statements:
            there.cursor().execute(statement)
