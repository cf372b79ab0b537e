"""Tables in files."""

from __future__ import annotations

import csv
import warnings
from pathlib import Path

import pandas as pd

from e2i_site.core.errors import InvalidInput


def read_table(path: Path) -> pd.DataFrame:
    """Read a CSV (UTF-8, comma) or Parquet file. Raises `InvalidInput`."""
    if not path.is_file():
        raise InvalidInput(f"{path}: there is no such file.", field="file")
    try:
        if path.suffix.lower() in (".parquet", ".pq"):
            return pd.read_parquet(path)
        if path.suffix.lower() == ".csv":
            return _read_csv(path)
    except InvalidInput:
        raise
    except Exception as error:
        raise InvalidInput(f"{path}: cannot be read: {error}", field="file") from None
    raise InvalidInput(f"{path}: only .csv and .parquet files can be read.", field="file")


def _read_csv(path: Path) -> pd.DataFrame:
    """Commas at the ends of lines are borne; values without a name are not."""
    _refuse_double_header(path)
    with warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)
        try:
            return pd.read_csv(path, index_col=False)
        except pd.errors.ParserWarning:
            raise InvalidInput(
                f"{path}: its lines have more values than its header has names.", field="file"
            ) from None


def _refuse_double_header(path: Path) -> None:
    with path.open(encoding="utf-8-sig", newline="") as lines:
        header = next(csv.reader(lines), [])
    doubles = sorted({name for name in header if header.count(name) > 1})
    if doubles:
        raise InvalidInput(f"{path}: the header names {', '.join(doubles)} twice.", field="file")
