"""One column of a request, checked and converted to the kind that the model's signature names."""

from __future__ import annotations

import base64
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from deployments.gateway.signature import NUMBERS, Column


class BadRequest(Exception):
    """The caller's input cannot be used; the message says what and where."""


def convert(values: list[Any], column: Column) -> Any:
    """The values as an array or series for a data frame. Raises BadRequest naming the column.

    A null is allowed where the kind has a missing value, or the column is not required.
    """
    if column.kind in NUMBERS:
        return _numbers(values, column)
    reader = _READERS.get(column.kind)
    if reader is None:
        return pd.Series(values, dtype=object)
    cells = [
        None if _is_null(each) else reader(each, column, row) for row, each in enumerate(values)
    ]
    dtype = _dtype(column, any(map(_is_null, values)))
    try:
        return pd.Series(cells, dtype=dtype)
    except (ValueError, OverflowError):
        raise BadRequest(f"Column {column.name!r}: a value is no {column.kind}.") from None


def _dtype(column: Column, with_nulls: bool) -> Any:
    if with_nulls and column.required and column.kind == "boolean":
        raise BadRequest(f"Column {column.name!r} must not be null.")
    if column.kind == "datetime":
        return "datetime64[ns]"
    if column.kind == "string":
        return None  # what pandas takes for strings: object, or its own dtype from 3.0 on
    return bool if column.kind == "boolean" and not with_nulls else object


def _is_null(value: Any) -> bool:
    return value is None or (isinstance(value, float) and value != value)


def _numbers(values: list[Any], column: Column) -> Any:
    cleaned = [_number(each, column, row) for row, each in enumerate(values)]
    dtype = NUMBERS[column.kind]
    if column.kind in ("double", "float"):
        return _packed(cleaned, dtype, column)
    nulls = [row for row, each in enumerate(cleaned) if each is None]
    if nulls and column.required:
        raise BadRequest(f"Column {column.name!r}, row {nulls[0]}: must not be null.")
    for row, each in enumerate(cleaned):
        if isinstance(each, float) and not each.is_integer():
            raise BadRequest(f"Column {column.name!r}, row {row}: {each!r} is not a whole number.")
    if nulls:
        return _packed(cleaned, np.float64, column)
    return _packed([int(each) for each in cleaned], dtype, column)


def _packed(values: list[Any], dtype: Any, column: Column) -> Any:
    try:
        return packed(values, dtype)
    except OverflowError:
        raise BadRequest(
            f"Column {column.name!r}: a number is outside the range of {column.kind}."
        ) from None


def packed(values: Any, dtype: Any) -> Any:
    """The finite `values` as an array. Raises OverflowError where one does not fit the type."""
    with np.errstate(over="ignore"):
        array = np.asarray(values, dtype=dtype)
    if array.dtype.kind == "f" and np.isinf(array).any():
        raise OverflowError("a number is outside the range of the type")
    return array


def _number(value: Any, column: Column, row: int) -> Any:
    kind = type(value)
    if kind is float or kind is int:
        return None if value != value else value
    if value is None:
        return None
    if isinstance(value, np.number):
        return value.item()
    if kind is str and _from_text(value) is not None:
        return _from_text(value)
    raise BadRequest(
        f"Column {column.name!r}, row {row}: {_shown(value)} is not a number ({column.kind})."
    )


def _shown(value: Any) -> str:
    if isinstance(value, list | dict):  # their text may be huge, or nested too deeply to write
        return "a list" if isinstance(value, list) else "an object"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _from_text(value: str) -> float | int | None:
    """CSV has only text; JSON's quoted numbers are understood the same way, as MLflow does."""
    for reader in (int, float):
        try:
            number = reader(value)
            return number if math.isfinite(number) else None
        except (ValueError, OverflowError):
            continue
    return None


def _boolean(value: Any, column: Column, row: int) -> bool:
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    raise BadRequest(f"Column {column.name!r}, row {row}: {_shown(value)} is not true or false.")


def _text(value: Any, column: Column, row: int) -> str:
    if isinstance(value, str):
        return value
    raise BadRequest(f"Column {column.name!r}, row {row}: {_shown(value)} is not a string.")


def _moment(value: Any, column: Column, row: int) -> Any:
    try:
        if isinstance(value, str):
            moment = pd.Timestamp(value)
            moment = moment.tz_convert("UTC").tz_localize(None) if moment.tzinfo else moment
            return moment.as_unit("ns")
    except (pd.errors.OutOfBoundsDatetime, OverflowError):
        raise BadRequest(
            f"Column {column.name!r}, row {row}: {_shown(value)} is outside the range of dates "
            "(1677 to 2262)."
        ) from None
    except ValueError:
        pass
    raise BadRequest(
        f"Column {column.name!r}, row {row}: {_shown(value)} is not a date and time (ISO 8601)."
    )


def _binary(value: Any, column: Column, row: int) -> bytes:
    try:
        return base64.b64decode(_text(value, column, row), validate=True)
    except ValueError:
        raise BadRequest(f"Column {column.name!r}, row {row}: is not base64.") from None


_READERS: dict[str, Callable[[Any, Column, int], Any]] = {
    "boolean": _boolean,
    "string": _text,
    "datetime": _moment,
    "binary": _binary,
}
