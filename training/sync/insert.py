"""Insert many rows at once: COPY on PostgreSQL, one prepared statement on SQLite.

Both are several times faster than bulk_create, which builds an object and a parameter for each
field of each row. Only new rows come this way; nothing is overwritten.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import lru_cache
from io import StringIO
from typing import Any

import orjson
from django.db import connection, models
from django.db.models import JSONField
from django.utils import timezone

Values = dict[str, Any]


def insert(model: type[models.Model], rows: Sequence[Values]) -> None:
    """Insert rows that all have the same fields; the others get their defaults.

    Args:
        rows: values by attribute name. That of a JSON field may be its text.

    Raises:
        IntegrityError: a row is there already; none has been inserted.
    """
    if not rows:
        return
    names = tuple(rows[0])
    columns, defaults = _table(model, names)
    table = connection.ops.quote_name(model._meta.db_table)
    if connection.vendor == "postgresql":
        _copy(table, columns, names, rows, defaults)
        return
    marks = ", ".join(["%s"] * len(columns))
    rest = [_parameter(value) for value in defaults]
    with connection.cursor() as cursor:
        cursor.executemany(
            f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})",  # noqa: S608
            [[*(_parameter(row[name]) for name in names), *rest] for row in rows],
        )


def _copy(
    table: str, columns: Sequence[str], names: tuple[str, ...], rows: Sequence[Values], rest: Any
) -> None:
    tail = "".join(f"\t{_field(value)}" for value in rest) + "\n"
    text = "".join("\t".join([_field(row[name]) for name in names]) + tail for row in rows)
    with connection.cursor() as cursor, connection.wrap_database_errors:
        cursor.cursor.copy_expert(f"COPY {table} ({', '.join(columns)}) FROM STDIN", StringIO(text))


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
    if isinstance(value, dict | list):
        return _json(value)
    if isinstance(value, datetime):
        return connection.ops.adapt_datetimefield_value(value)
    return value


def _field(value: Any) -> str:
    """As COPY's text format has it."""
    if isinstance(value, str):
        return _escaped(value)
    if value is None:
        return r"\N"
    if isinstance(value, dict | list):
        return _escaped(_json(value))
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _escaped(text: str) -> str:
    if "\\" in text:
        text = text.replace("\\", "\\\\")
    if "\n" in text or "\t" in text or "\r" in text:
        text = text.replace("\n", "\\n").replace("\t", "\\t").replace("\r", "\\r")
    return text
