"""The QC gate: data quality, computed from the data itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import pandas as pd

from training.pipeline.data import Dataset
from training.pipeline.splits import Splits, shared
from training.pipeline.trainer.leakage import leaking_features
from training.pipeline.types import Json

MINIMUM_SCORE = 0.80
WEIGHTS = {
    "completeness": 0.25,
    "validity": 0.25,
    "consistency": 0.20,
    "uniqueness": 0.15,
    "timeliness": 0.15,
}
# Data is fresh for so many days, and worth nothing as evidence of today after so many.
FRESH_DAYS = 30
STALE_DAYS = 365
LARGEST = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class Dimension:
    """`score` 0..1, None where the dimension does not apply; `detail` says what was counted."""

    score: float | None
    weight: float
    detail: str

    def as_dict(self) -> dict[str, Json]:
        return {"score": self.score, "weight": self.weight, "detail": self.detail}


@dataclass(frozen=True)
class Quality:
    """Result of the gate; reasons in `blocking` end the training."""

    score: float | None
    dimensions: Mapping[str, Dimension]
    blocking: tuple[str, ...]
    warnings: tuple[str, ...]

    @property
    def passed(self) -> bool:
        return not self.blocking

    def facts(self) -> dict[str, Json]:
        return {
            "score": self.score,
            "dimensions": {name: found.as_dict() for name, found in self.dimensions.items()},
            "blocking": list(self.blocking),
            "warnings": list(self.warnings),
        }


def assess(data: Dataset, planned: Splits, now: datetime | None = None) -> Quality:
    """Judge the data and the split it is about to get.

    Blocks when the weighted score is under .80, when a feature gives the target away or holds
    numbers that no estimator takes, and when rows with equal features would be in two splits.
    """
    dimensions = _dimensions(data, now or datetime.now(UTC))
    score = _weighted(dimensions)
    blocking: list[str] = []
    if score is None:
        blocking.append("Nothing of the data's quality could be measured.")
    elif score < MINIMUM_SCORE:
        blocking.append(f"Data quality is {score:.2f}; at least {MINIMUM_SCORE:.2f} is required.")
    for name, why in leaking_features(data).items():
        blocking.append(f"Feature {name} gives the target away: {why}. Leave it out.")
    blocking += _boundless(data)
    if rows := shared(data.row_keys, planned):
        blocking.append(
            f"{rows} rows have the same features as a row in another split; "
            "split by groups, so that equal rows stay together."
        )
    return Quality(score, dimensions, tuple(blocking), tuple(_warnings(data, planned)))


def _dimensions(data: Dataset, now: datetime) -> dict[str, Dimension]:
    found = {
        "completeness": _completeness(data),
        "validity": _validity(data),
        "consistency": _consistency(data),
        "uniqueness": _uniqueness(data),
        "timeliness": _timeliness(data, now),
    }
    return {name: Dimension(*found[name][:1], WEIGHTS[name], found[name][1]) for name in WEIGHTS}


def _weighted(dimensions: Mapping[str, Dimension]) -> float | None:
    """Weighted mean of the dimensions that apply, their weights renormalised."""
    applying = [(d.score, d.weight) for d in dimensions.values() if d.score is not None]
    total = sum(weight for _, weight in applying)
    return sum(score * weight for score, weight in applying) / total if total else None


def _completeness(data: Dataset) -> tuple[float, str]:
    missing = int(data.X.isna().to_numpy().sum())
    return 1 - missing / data.X.size, f"{missing} of {data.X.size} feature values are missing."


def _validity(data: Dataset) -> tuple[float, str]:
    """Infinite numbers and blank texts are invalid; so is all of a column that never varies."""
    invalid = 0
    for name in data.features:
        column = data.frame[name]
        if name in data.categories:
            invalid += int((column.astype("string").str.strip() == "").sum())
        else:
            invalid += int(np.isinf(column.to_numpy(dtype=float)).sum())
    constant = [column.name for column in data.schema if column.kind == "constant"]
    invalid += len(constant) * len(data)
    cells = data.X.size + len(constant) * len(data)
    return 1 - invalid / cells, f"{invalid} of {cells} values are infinite, blank or constant."


def _consistency(data: Dataset) -> tuple[float | None, str]:
    """Categories written in several ways ("Yes", "yes ") and numbers among text."""
    if not data.categories:
        return 1.0, "All features are numbers of one type."
    odd = 0
    for name in data.categories:
        values = data.frame[name].dropna()
        texts = values.astype(str)
        spelling = texts.groupby(texts.str.strip().str.casefold()).transform("nunique")
        numbers = pd.to_numeric(texts, errors="coerce").notna()
        rarer_type = numbers if numbers.mean() < 0.5 else ~numbers
        odd += int(((spelling > 1) | rarer_type).sum())
    return 1 - odd / data.X.size, f"{odd} values are spelled or typed in more than one way."


def _uniqueness(data: Dataset) -> tuple[float, str]:
    repeated = int(data.frame.assign(**{"\0target": data.y}).duplicated().sum())
    return 1 - repeated / len(data), f"{repeated} of {len(data)} rows repeat an earlier row."


def _timeliness(data: Dataset, now: datetime) -> tuple[float | None, str]:
    if not data.time_column:
        return None, "There is no time column."
    newest = data.frame[data.time_column].max()
    if not isinstance(newest, pd.Timestamp):
        return None, "The time column holds numbers, not dates."
    age = max(0.0, (pd.Timestamp(now) - newest).total_seconds() / 86_400)
    share = (STALE_DAYS - age) / (STALE_DAYS - FRESH_DAYS)
    return min(1.0, max(0.0, share)), f"The newest row is {age:.0f} days old."


def _boundless(data: Dataset) -> list[str]:
    """Trees compute in single precision: what is beyond it is as infinite to them."""
    reasons = []
    for name in set(data.features) - set(data.categories):
        values = data.frame[name].to_numpy(dtype=float)
        if rows := int((np.abs(values) > LARGEST).sum()):
            reasons.append(
                f"Feature {name} is infinite or beyond ±{LARGEST:.2g} in {rows} rows; leave the "
                "value empty where it is not known."
            )
    return sorted(reasons)


def _warnings(data: Dataset, planned: Splits) -> list[str]:
    unused = {
        "constant": "never varies",
        "identifier": "names rows",
        "time": "holds times",
    }
    keys = {*data.group_columns, data.time_column}
    found = [
        f"Column {column.name} {unused[column.kind]} and is not used as a feature."
        for column in data.schema
        if column.kind in unused and column.name not in keys
    ]
    if data.group_columns and (rows := shared(data.groups, planned)):
        found.append(
            f"{rows} rows belong to a group ({', '.join(data.group_columns)}) that is in more than "
            f"one split: the split is {planned.strategy.value}."
        )
    return found
