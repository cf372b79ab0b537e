"""The two databases in which MLflow's tables can be read: PostgreSQL and SQLite, never written."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import orjson
import psycopg2
import psycopg2.extensions

from e2i_site.mlflow_connector.masking import mask_text
from e2i_site.mlflow_connector.sources.sql import Database, Row, StoreUnusable

FETCH = 500
CONNECT_SECONDS = 10


def open_database(uri: str) -> Database:
    """A view of the store at MLflow's `--backend-store-uri`.

    Raises:
        StoreUnusable: it cannot be opened, or is of another kind.
    """
    scheme, _, rest = uri.partition("://")
    if scheme == "sqlite":
        return SqliteDatabase(Path(rest.removeprefix("/").partition("?")[0]))
    if scheme in ("postgresql", "postgres", "postgresql+psycopg2"):
        return PostgresDatabase(f"postgresql://{rest}")
    raise StoreUnusable(f"it is neither PostgreSQL nor SQLite but {scheme}")


class SqliteDatabase:
    """A copy of the file, made by SQLite itself: reading it keeps nobody from writing."""

    # SQLite's own aggregate rounds numbers.
    object = "exact_object"

    def __init__(self, path: Path) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="e2i-mlflow-store-")
        try:
            copy = Path(self._folder.name) / "store.sqlite3"
            # A file that is not there must not be made.
            source = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=10)
            self._connection = sqlite3.connect(copy, check_same_thread=False)
            with closing(source):
                source.backup(self._connection)
            self._connection.create_aggregate(self.object, 2, _Object)  # type: ignore[arg-type]
        except sqlite3.Error as error:
            self._folder.cleanup()
            raise StoreUnusable(f"{path} cannot be read: {error}") from error

    def rows(self, sql: str, *parameters: Any) -> Iterator[Row]:
        try:
            yield from self._connection.execute(sql, parameters)
        except sqlite3.Error as error:
            raise StoreUnusable(f"SQLite says: {error}") from error

    def among(self, column: str, values: Sequence[Any]) -> tuple[str, list[Any]]:
        return f"{column} IN ({', '.join('?' * len(values))})", list(values)

    def close(self) -> None:
        self._connection.close()
        self._folder.cleanup()


class PostgresDatabase:
    """One read-only transaction that sees the store as it was when it began."""

    object = "json_object_agg"

    def __init__(self, dsn: str) -> None:
        try:
            self._connection = psycopg2.connect(dsn, connect_timeout=CONNECT_SECONDS)
            self._connection.set_session(
                isolation_level=psycopg2.extensions.ISOLATION_LEVEL_REPEATABLE_READ, readonly=True
            )
        except psycopg2.Error as error:
            raise StoreUnusable(f"PostgreSQL says: {_line(error)}") from error
        self._cursors = 0

    def rows(self, sql: str, *parameters: Any) -> Iterator[Row]:
        self._cursors += 1
        try:
            with self._connection.cursor(f"e2i_{self._cursors}") as cursor:
                cursor.itersize = FETCH
                cursor.execute(sql.replace("?", "%s"), parameters)
                yield from cursor
        except psycopg2.Error as error:
            raise StoreUnusable(f"PostgreSQL says: {_line(error)}") from error

    def among(self, column: str, values: Sequence[Any]) -> tuple[str, list[Any]]:
        return f"{column} = ANY(?)", [list(values)]

    def close(self) -> None:
        self._connection.close()


class _Object:
    """Names and values as a JSON object."""

    def __init__(self) -> None:
        self._pairs: dict[str, Any] = {}

    def step(self, key: str, value: Any) -> None:
        self._pairs[key] = value

    def finalize(self) -> str:
        return orjson.dumps(self._pairs).decode()


def _line(error: psycopg2.Error) -> str:
    return mask_text(str(error).strip().splitlines()[0] if str(error).strip() else repr(error))
