"""Data sets: a table, what to predict from it, and a digest that names its exact content."""

from __future__ import annotations

import hashlib
import json
import operator
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from e2i_site.core.errors import InvalidInput
from training.pipeline.arrays import Ints
from training.pipeline.files import read_table
from training.pipeline.raw_columns import numbers_rows, plain
from training.pipeline.types import Json, Problem

# More classes than this in a numeric target means regression.
MAX_CLASSES = 20
# Text that is nearly different in every row names the row; it is not a feature.
IDENTIFIER_SHARE = 0.5
IDENTIFIER_VALUES = 50

_COMPARE: dict[str, Callable[[Any, float], Any]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}
_RULE = re.compile(
    r"^(?:(?P<name>[^=<>]+?)\s*=\s*(?!=))?(?P<column>[^=<>]+?)\s*"
    r"(?:(?P<op>>=|<=|>|<)\s*(?P<value>-?\d+(?:\.\d+)?))?$"
)


@dataclass(frozen=True)
class Target:
    """What to predict: a column as it is, or "column above or below a number"."""

    column: str
    name: str = ""
    op: str = ""
    value: float = 0.0

    @classmethod
    def parse(cls, text: str) -> Target:
        """Read `visits`, `visits > 0` or `any visit = visits > 0`."""
        found = _RULE.match(text.strip())
        if not found or (found["name"] and not found["op"]):
            raise InvalidInput(
                f"Target {text!r} is not understood; write a column, as in visits, or a rule, "
                "as in any_visit = visits > 0.",
                field="target",
            )
        value = float(found["value"]) if found["op"] else 0.0
        return cls(found["column"], (found["name"] or "").strip(), found["op"] or "", value)

    def __str__(self) -> str:
        rule = f"{self.column} {self.op} {self.value:g}" if self.op else self.column
        return f"{self.name} = {rule}" if self.name else rule

    @property
    def label(self) -> str:
        """Name of the predicted column."""
        return self.name or (str(self) if self.op else self.column)


@dataclass(frozen=True)
class Column:
    """One column as found: `kind` is number, category, time, identifier or constant."""

    name: str
    kind: str
    missing: int
    distinct: int

    def as_dict(self) -> dict[str, Json]:
        return {
            "name": self.name,
            "kind": self.kind,
            "missing": self.missing,
            "distinct": self.distinct,
        }


@dataclass(frozen=True, eq=False)
class Dataset:
    """A table of n rows ready for a pipeline.

    `frame` holds the features (numbers as float64, categories as object with NaN for missing)
    and the key columns; `y` holds class codes 0..k-1 (the last class of a binary problem is the
    positive one) or, for regression, numbers.
    """

    name: str
    frame: pd.DataFrame
    target: str
    y: pd.Series
    problem: Problem
    features: tuple[str, ...]
    schema: tuple[Column, ...]
    digest: str
    classes: tuple[str, ...] = ()
    group_columns: tuple[str, ...] = ()
    time_column: str = ""
    source: str = ""

    def __len__(self) -> int:
        return len(self.frame)

    @property
    def X(self) -> pd.DataFrame:  # noqa: N802
        """The features, n × len(features)."""
        return self.frame[list(self.features)]

    @property
    def categories(self) -> tuple[str, ...]:
        """Features that are not numbers."""
        return tuple(
            c.name for c in self.schema if c.kind == "category" and c.name in self.features
        )

    @cached_property
    def row_keys(self) -> Ints:
        """For each row a number; rows with equal features, time and group have equal numbers."""
        keys = [*self.group_columns, *([self.time_column] if self.time_column else [])]
        columns = list(dict.fromkeys([*self.features, *keys]))
        hashed = pd.util.hash_pandas_object(self.frame[columns], index=False)
        return np.unique(hashed.to_numpy(), return_inverse=True)[1].astype(np.int64)

    @cached_property
    def groups(self) -> Ints:
        """For each row the number of its group: given by the group columns, else by its features.

        Rows with equal features stay together, so that no answer is known before the question.
        """
        if not self.group_columns:
            return self.row_keys
        hashed = pd.util.hash_pandas_object(self.frame[list(self.group_columns)], index=False)
        return np.unique(hashed.to_numpy(), return_inverse=True)[1].astype(np.int64)

    @property
    def is_grouped(self) -> bool:
        """True when some group holds more than one row."""
        return bool(self.groups.max(initial=-1) + 1 < len(self))

    def take(self, rows: Ints) -> pd.DataFrame:
        """Features of the rows at these positions."""
        return self.X.iloc[rows]

    def labels(self, rows: Ints) -> np.ndarray:
        """Target of the rows at these positions."""
        return self.y.to_numpy()[rows]


def build(
    name: str,
    frame: pd.DataFrame,
    target: Target,
    *,
    problem: Problem | None = None,
    group_columns: tuple[str, ...] = (),
    time_column: str = "",
    source: str = "",
) -> Dataset:
    """Check a table and turn it into a data set. Raises `InvalidInput`, naming the column."""
    if frame.empty:
        raise InvalidInput(f"{name}: the table has no rows.", field="file")
    for column in (target.column, *group_columns, *([time_column] if time_column else [])):
        if column not in frame.columns:
            known = ", ".join(map(str, frame.columns[:20]))
            raise InvalidInput(f"{name}: there is no column {column!r}; it has {known}.")
    keys = {*group_columns, *([time_column] if time_column else [])}
    if target.column in keys:
        raise InvalidInput(
            f"{name}: {target.column!r} is the target; it cannot group or order the rows too.",
            field="target",
        )
    frame = frame.apply(plain)
    raw = _target_values(name, frame[target.column], target)
    problem = problem or _guess_problem(raw)
    y, classes = _encode(name, raw, problem)
    if time_column:
        _refuse_missing(name, frame[time_column], "time")
    body = frame.drop(columns=[target.column])
    schema = tuple(_describe(body[c], is_time=c == time_column) for c in body.columns)
    features = tuple(
        c.name for c in schema if c.kind in ("number", "category") and c.name not in keys
    )
    if not features:
        raise InvalidInput(f"{name}: no column can serve as a feature.", field="file")
    for described in schema:
        body[described.name] = _clean(body[described.name], described)
    body = body.reset_index(drop=True)
    y = y.reset_index(drop=True)
    return Dataset(
        name=name,
        frame=body,
        target=target.label,
        y=y,
        problem=problem,
        features=features,
        schema=schema,
        digest=content_digest([*(body[c] for c in body.columns), y.rename(target.label)]),
        classes=classes,
        group_columns=group_columns,
        time_column=time_column,
        source=source,
    )


def load_file(
    name: str,
    path: Path,
    target: Target,
    *,
    problem: Problem | None = None,
    group_columns: tuple[str, ...] = (),
    time_column: str = "",
    source: str = "",
) -> Dataset:
    """A data set from a CSV or Parquet file; `source` says where it is from, else the file name."""
    return build(
        name,
        read_table(path),
        target,
        problem=problem,
        group_columns=group_columns,
        time_column=time_column,
        source=source or path.name,
    )


def breast_cancer_frame() -> pd.DataFrame:
    """Wisconsin breast cancer data as scikit-learn ships it; `benign` is 1 for benign."""
    from sklearn.datasets import load_breast_cancer

    bunch = load_breast_cancer(as_frame=True)
    frame: pd.DataFrame = bunch.frame.rename(columns={"target": "benign"})
    return frame.rename(columns=lambda name: str(name).replace(" ", "_"))


def content_digest(columns: Iterable[pd.Series]) -> str:
    """SHA-256 over names, kinds and values, in order: numbers as little-endian doubles, else JSON.

    Independent of library versions and of the file format the table came in.
    """
    digest = hashlib.sha256()
    for column in columns:
        numeric = pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column)
        digest.update(json.dumps([str(column.name), "number" if numeric else "text"]).encode())
        if numeric:
            values = column.to_numpy(dtype="<f8", na_value=np.nan)
            values = np.where(np.isnan(values), np.nan, values + 0.0)
            digest.update(values.astype("<f8").tobytes())
        else:
            texts = [None if pd.isna(value) else str(value) for value in column]
            digest.update(json.dumps(texts, ensure_ascii=False).encode())
    return digest.hexdigest()


def _target_values(name: str, column: pd.Series, target: Target) -> pd.Series:
    _refuse_missing(name, column, "target")
    if not target.op:
        return column
    if not pd.api.types.is_numeric_dtype(column):
        raise InvalidInput(
            f"{name}: {target} needs numbers, but column {target.column!r} holds text.",
            field="target",
        )
    return pd.Series(_COMPARE[target.op](column, target.value).astype(int), index=column.index)


def _refuse_missing(name: str, column: pd.Series, role: str) -> None:
    missing = int(column.isna().sum())
    if missing:
        raise InvalidInput(
            f"{name}: the {role} column {column.name!r} is empty in {missing} of {len(column)} "
            "rows; leave those rows out of the file.",
            field="time_column" if role == "time" else role,
        )


def _guess_problem(values: pd.Series) -> Problem:
    distinct = values.nunique()
    if distinct <= 2:
        return Problem.BINARY
    numeric = pd.api.types.is_numeric_dtype(values)
    whole = numeric and bool(np.all(np.mod(values.to_numpy(dtype=float), 1) == 0))
    if not numeric or (whole and distinct <= MAX_CLASSES):
        return Problem.MULTICLASS
    return Problem.REGRESSION


def _encode(name: str, values: pd.Series, problem: Problem) -> tuple[pd.Series, tuple[str, ...]]:
    distinct = values.nunique()
    if distinct < 2:
        raise InvalidInput(f"{name}: the target has one value only.", field="target")
    if problem is Problem.REGRESSION:
        if not pd.api.types.is_numeric_dtype(values):
            raise InvalidInput(f"{name}: regression needs a target of numbers.", field="target")
        numbers = values.astype("float64")
        if not np.isfinite(numbers).all():
            raise InvalidInput(f"{name}: the target holds infinite numbers.", field="target")
        return numbers, ()
    if problem is Problem.BINARY and distinct != 2:
        raise InvalidInput(
            f"{name}: a binary target has two values, this one has {distinct}.", field="target"
        )
    if problem is Problem.MULTICLASS and distinct < 3:
        raise InvalidInput(
            f"{name}: a multiclass target has three values or more, this one has two.",
            field="target",
        )
    levels = sorted(values.unique().tolist())
    codes = values.map({level: code for code, level in enumerate(levels)}).astype("int64")
    return codes, tuple(_plain(level) for level in levels)


def _plain(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _describe(column: pd.Series, *, is_time: bool) -> Column:
    distinct = int(column.nunique())
    numeric = pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column)
    if is_time or pd.api.types.is_datetime64_any_dtype(column):
        kind = "time"
    elif distinct < 2:
        kind = "constant"
    elif numeric:
        kind = "identifier" if numbers_rows(column) else "number"
    elif distinct > IDENTIFIER_VALUES and distinct > IDENTIFIER_SHARE * len(column):
        kind = "identifier"
    else:
        kind = "category"
    return Column(str(column.name), kind, int(column.isna().sum()), distinct)


def _clean(column: pd.Series, described: Column) -> pd.Series:
    numeric = pd.api.types.is_numeric_dtype(column)
    if described.kind == "number" or (numeric and described.kind in ("time", "identifier")):
        return column.astype("float64")
    if described.kind == "time":
        try:
            return pd.to_datetime(column, utc=True, format="ISO8601")
        except (ValueError, TypeError):
            raise InvalidInput(
                f"Time column {described.name!r} holds something else than dates; write them as "
                "2024-01-31 or 2024-01-31T12:00:00Z.",
                field="time_column",
            ) from None
    return column.astype("object").where(column.notna(), np.nan)
