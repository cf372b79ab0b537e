"""Insert many rows at once: COPY on PostgreSQL, many rows a statement on SQLite.

Both are several times faster than bulk_create, which builds an object and a parameter for each
field of each row. Only new rows come this way; nothing is overwritten. `encode` needs no database,
so another thread can do it while this one waits for the database.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from functools import cache, lru_cache
from io import StringIO
from itertools import chain
from typing import Any

import orjson
from django.db import connection, models
from django.db.models import JSONField
from django.utils import timezone

Values = dict[str, Any]
#: Values of a row, or the first or last of them, as the database takes them.
Encoded = str | list[Any]
#: Characters handed to the database at once. Between two, a thread that parses may run for long.
_AT_ONCE = 1 << 20
#: Values of one statement of SQLite.
MOST_PARAMETERS = 30_000
_NEXT, _NULL = "\0-", "\0."


@cache
def is_postgresql() -> bool:
    """Asked for each row, of what Django takes long to look up."""
    return connection.vendor == "postgresql"


def insert(model: type[models.Model], rows: Sequence[Values]) -> None:
    """Insert rows that all have the same fields; the others get their defaults.

    Args:
        rows: values by attribute name, in the same order. That of a JSON field may be its text.

    Raises:
        IntegrityError: a row is there already; none has been inserted.
    """
    if rows:
        names = tuple(rows[0])
        insert_encoded(model, names, [encode(row.values()) for row in rows])


def encode(values: Iterable[Any]) -> Encoded:
    """One row, or a part of it."""
    if not is_postgresql():
        return [value if isinstance(value, str) else _parameter(value) for value in values]
    # Escaped all at once, with signs that hold a NUL, which is in no text of ours.
    text = _NEXT.join([value if isinstance(value, str) else _field(value) for value in values])
    return escaped(text).replace(_NEXT, "\t").replace(_NULL, r"\N")


def joined(head: Encoded, tail: Encoded) -> Encoded:
    """A row of two encoded parts."""
    if isinstance(head, str):
        return f"{head}\t{tail}"
    return [*head, *tail]


def insert_encoded(
    model: type[models.Model], names: tuple[str, ...], rows: Sequence[Encoded]
) -> None:
    """Insert rows of these fields, in this order; the others get their defaults.

    Raises:
        IntegrityError: a row is there already; none has been inserted.
    """
    columns, defaults = _table(model, names)
    table = connection.ops.quote_name(model._meta.db_table)
    rest = encode(defaults)
    if isinstance(rest, str):
        end = f"\t{rest}\n" if defaults else "\n"
        copy(table, columns, "".join([f"{row}{end}" for row in rows]))
        return
    insert_rows(table, columns, [joined(row, rest) for row in rows])


def insert_rows(table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Insert rows into SQLite, many with one statement: at each, Python's threads change turns.

    Past Django's cursor, which takes as long to translate so many marks as SQLite to insert.
    """
    with connection.cursor(), connection.wrap_database_errors:
        database = connection.connection
        limit = database.getlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER)
        at_once = min(limit, MOST_PARAMETERS) // len(columns)
        for begin in range(0, len(rows), at_once):
            some = rows[begin : begin + at_once]
            statement = _statement(table, tuple(columns), len(some))
            database.execute(statement, list(chain.from_iterable(some)))


@lru_cache(maxsize=8)
def _statement(table: str, columns: tuple[str, ...], rows: int) -> str:
    marks = f"({', '.join('?' * len(columns))})"
    values = ", ".join([marks] * rows)
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES {values}"  # noqa: S608


def copy(table: str, columns: Sequence[str], text: str) -> None:
    """Send lines of COPY's text format to PostgreSQL."""
    with connection.cursor() as cursor, connection.wrap_database_errors:
        # Nobody waits for the disk: what a crash of the server loses is read again, because where
        # the sync stands is committed later, and then all before it is on the disk, too.
        cursor.execute("SET LOCAL synchronous_commit TO off")
        cursor.cursor.copy_expert(
            f"COPY {table} ({', '.join(columns)}) FROM STDIN", StringIO(text), size=_AT_ONCE
        )


def reserve(model: type[models.Model], count: int) -> list[int]:
    """Primary keys for so many rows, which nobody else gets. In the transaction that inserts."""
    table = model._meta.db_table
    with connection.cursor() as cursor:
        if is_postgresql():
            sequence = "nextval(pg_get_serial_sequence(%s, 'id'))"
            cursor.execute(
                f"SELECT {sequence} FROM generate_series(1, %s)",  # noqa: S608
                [table, count],
            )
            return [pk for (pk,) in cursor.fetchall()]
        # Only one transaction at a time writes, and inserting moves the sequence on.
        cursor.execute("SELECT seq FROM sqlite_sequence WHERE name = %s", [table])
        last = (cursor.fetchone() or (0,))[0]
    return list(range(last + 1, last + 1 + count))


@lru_cache(maxsize=8)
def _fields(model: type[models.Model], names: tuple[str, ...]) -> tuple[list[str], list[Any]]:
    quote: Callable[[Any], str] = connection.ops.quote_name
    given = {field.attname: field for field in model._meta.concrete_fields}
    others = [
        field
        for name, field in given.items()
        if name not in names and not isinstance(field, models.AutoField)
    ]
    columns = [given[name].column for name in names] + [field.column for field in others]
    return [quote(each) for each in columns], others


def _table(model: type[models.Model], names: tuple[str, ...]) -> tuple[list[str], list[Any]]:
    """Columns, and the values of those that the rows do not give."""
    columns, others = _fields(model, names)
    return columns, [_default(field) for field in others]


def _default(field: Any) -> Any:
    if getattr(field, "auto_now_add", False) or getattr(field, "auto_now", False):
        return timezone.now()
    value = field.get_default()
    return _json(value) if isinstance(field, JSONField) else value


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()


def _parameter(value: Any) -> Any:
    """As SQLite keeps it."""
    if isinstance(value, (dict, list)):
        return _json(value)
    if isinstance(value, datetime):  # as Django does, which looks its settings up for each
        return value.astimezone(UTC).isoformat(" ").removesuffix("+00:00")
    return value


def _field(value: Any) -> str:
    """As COPY's text format has it, not yet escaped."""
    if value is None:
        return _NULL
    if isinstance(value, datetime):
        return value.isoformat()
    return _json(value) if isinstance(value, (dict, list)) else str(value)


def escaped(text: str) -> str:
    """A text as COPY's format has it."""
    if "\\" in text:
        text = text.replace("\\", "\\\\")
    if "\n" in text or "\t" in text or "\r" in text:
        text = text.replace("\n", "\\n").replace("\t", "\\t").replace("\r", "\\r")
    return text
