"""Emptying the database after a transactional test.

Django's flush cannot: the database refuses to delete trail entries. And it would lose the rows
that migrations made (roles, default policy, schedule). So triggers rest while tables are emptied,
and the rows that were there after migrating are put back. Only tables that a test has touched are
gone through; truncating them would write new files for each.
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
    """Note every table, and every row that the migrations made. Called once, right after them."""
    _pristine.clear()
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            if table not in _KEPT:
                _pristine[table] = _rows(cursor, table)


def restore_pristine() -> None:
    """Make the database what it was right after the migrations."""
    with transaction.atomic(), connection.cursor() as cursor:
        touched = _touched(cursor)
        # Foreign keys are checked at the end of the transaction, so any order will do.
        if connection.vendor == "sqlite":
            cursor.execute("PRAGMA defer_foreign_keys = ON")
        with _triggers_resting(cursor, touched):
            for table in touched:
                cursor.execute(f"DELETE FROM {_quoted(table)}")
            for table in touched:
                _insert(cursor, table, _pristine[table])


def _touched(cursor: CursorWrapper) -> list[str]:
    """The tables that do not hold what they held after migrating."""
    held_none = [table for table, rows in _pristine.items() if not rows]
    cursor.execute(
        " UNION ALL ".join(
            f"SELECT '{table}' WHERE EXISTS (SELECT 1 FROM {_quoted(table)})" for table in held_none
        )
    )
    filled = [row[0] for row in cursor.fetchall()]
    changed = [t for t, rows in _pristine.items() if rows and _rows(cursor, t) != rows]
    return filled + changed


@contextmanager
def _triggers_resting(cursor: CursorWrapper, tables: list[str]) -> Iterator[None]:
    """Let rows of these tables be deleted, whatever protects them."""
    if connection.vendor == "postgresql":
        cursor.execute(
            "SELECT DISTINCT relname FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid "
            "WHERE NOT tgisinternal AND relname = ANY(%s)",
            [tables],
        )
        protected = [_quoted(row[0]) for row in cursor.fetchall()]
        for table in protected:
            cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        yield
        # A table with a check still to come cannot be altered.
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        for table in protected:
            cursor.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")
        return
    cursor.execute("SELECT tbl_name, name, sql FROM sqlite_master WHERE type = 'trigger'")
    triggers = [row[1:] for row in cursor.fetchall() if row[0] in tables]
    for name, _ in triggers:
        cursor.execute(f"DROP TRIGGER {_quoted(name)}")
    yield
    for _, sql in triggers:
        cursor.execute(sql)


def _rows(cursor: CursorWrapper, table: str) -> list[tuple[Any, ...]]:
    cursor.execute(f"SELECT * FROM {_quoted(table)}")
    return sorted(cursor.fetchall(), key=repr)


def _insert(cursor: CursorWrapper, table: str, rows: list[tuple[Any, ...]]) -> None:
    if rows:
        values = ", ".join(["%s"] * len(rows[0]))
        cursor.executemany(f"INSERT INTO {_quoted(table)} VALUES ({values})", rows)


def _quoted(name: str) -> str:
    return connection.ops.quote_name(name)
