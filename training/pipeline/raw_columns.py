"""Columns as files hold them, turned into numbers, texts, truth values and moments."""

from __future__ import annotations

import numpy as np
import pandas as pd

from e2i_site.core.errors import InvalidInput

# What pandas calls the content of an object column, where it can stay as it is.
_AS_IT_IS = frozenset({"string", "boolean", "bytes", "empty"})
_NUMBERS = frozenset({"decimal", "floating", "mixed-integer-float"})
_MOMENTS = frozenset({"date", "datetime", "datetime64"})


def plain(column: pd.Series) -> pd.Series:
    """Decimals become numbers, days become moments, durations seconds, the rest of a mixture text.

    Whole numbers beyond 64 bits become text too: no model can count with them. Raises
    `InvalidInput` for a column of lists or other structures.
    """
    if pd.api.types.is_timedelta64_dtype(column):
        return pd.Series(column.dt.total_seconds())
    if column.dtype != object:
        return column
    kind = pd.api.types.infer_dtype(column, skipna=True)
    if kind in _AS_IT_IS:
        return column
    if kind in _NUMBERS:
        return column.astype("float64")
    if kind in _MOMENTS:
        return pd.to_datetime(column, utc=True)
    if any(isinstance(value, list | tuple | dict | set | np.ndarray) for value in column):
        raise InvalidInput(
            f"Column {str(column.name)!r} holds lists or other structures; leave it out, or spread "
            "it over columns of its own.",
            field="file",
        )
    return column.astype(str).where(column.notna(), np.nan)


def numbers_rows(column: pd.Series) -> bool:
    """Whether it is the row numbers that pandas writes into a file, under no name."""
    if not str(column.name).startswith("Unnamed: "):
        return False
    values = column.to_numpy(dtype="float64", na_value=np.nan)
    return bool(np.array_equal(values, np.arange(len(values)) + values[0])) and values[0] in (0, 1)
