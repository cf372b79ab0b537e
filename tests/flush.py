"""Emptying the database after a transactional test.

Django's flush cannot: the database refuses to delete trail entries. And it would lose the rows
that migrations made (roles, default policy, schedule). So triggers rest while tables are emptied,
and the rows that were there after migrating are put back.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper

_KEPT = {"django_migrations"}
_pristine: dict[str, list[tuple[Any, ...]]] = {}


def remember_pristine() -> None:
    """Note every row that the migrations made. Called once, right after them."""
    _pristine.clear()
    with connection.cursor() as cursor:
        for table in _tables():
            cursor.execute(f"SELECT * FROM {_quoted(table)}")
            if rows := cursor.fetchall():
                _pristine[table] = rows


def restore_pristine() -> None:
    """Make the database what it was right after the migrations."""
    with transaction.atomic(), connection.cursor() as cursor:
        with _triggers_resting(cursor):
            if connection.vendor == "postgresql":
                cursor.execute(f"TRUNCATE {', '.join(map(_quoted, _tables()))}")
            else:
                cursor.execute("PRAGMA defer_foreign_keys = ON")
                for table in _tables():
                    cursor.execute(f"DELETE FROM {_quoted(table)}")
        for table, rows in _pristine.items():
            values = ", ".join(["%s"] * len(rows[0]))
            cursor.executemany(f"INSERT INTO {_quoted(table)} VALUES ({values})", rows)


@contextmanager
def _triggers_resting(cursor: CursorWrapper) -> Iterator[None]:
    if connection.vendor == "postgresql":
        cursor.execute(
            "SELECT DISTINCT tgrelid::regclass::text FROM pg_trigger WHERE NOT tgisinternal"
        )
        tables = [row[0] for row in cursor.fetchall()]
        for table in tables:
            cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        yield
        for table in tables:
            cursor.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")
        return
    cursor.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
    triggers = cursor.fetchall()
    for name, _ in triggers:
        cursor.execute(f"DROP TRIGGER {_quoted(name)}")
    yield
    for _, sql in triggers:
        cursor.execute(sql)


def _tables() -> list[str]:
    return [name for name in connection.introspection.table_names() if name not in _KEPT]


def _quoted(name: str) -> str:
    return connection.ops.quote_name(name)
