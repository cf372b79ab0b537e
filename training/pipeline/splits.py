"""Splitting rows into train, validation, test and holdout, and train into folds."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from e2i_site.core.errors import InvalidInput
from training.pipeline.arrays import Ints
from training.pipeline.data import Dataset
from training.pipeline.types import SEED, Json, Problem, Split

RATIOS: Mapping[Split, float] = {
    Split.TRAIN: 0.60,
    Split.VALIDATION: 0.20,
    Split.TEST: 0.15,
    Split.HOLDOUT: 0.05,
}
TOLERANCE = 0.02
MINIMUM_ROWS = 10
# A target of numbers is stratified by this many quantiles.
QUANTILES = 5


class Strategy(StrEnum):
    STRATIFIED = "stratified"
    GROUPED = "grouped"
    CHRONOLOGICAL = "chronological"


@dataclass(frozen=True, eq=False)
class Splits:
    """Row numbers of each split, ascending."""

    strategy: Strategy
    seed: int
    rows: Mapping[Split, Ints]

    def __getitem__(self, split: Split) -> Ints:
        return self.rows[split]

    @property
    def sizes(self) -> dict[str, int]:
        return {split.value: len(rows) for split, rows in self.rows.items()}

    @property
    def digests(self) -> dict[str, str]:
        """SHA-256 of each split's row numbers as little-endian 64-bit integers."""
        return {
            split.value: hashlib.sha256(rows.astype("<i8").tobytes()).hexdigest()
            for split, rows in self.rows.items()
        }

    @property
    def blocking(self) -> tuple[str, ...]:
        return ()

    def facts(self) -> dict[str, Json]:
        return {"strategy": self.strategy.value, "seed": self.seed, "sizes": self.sizes}


@dataclass(frozen=True)
class SplitCheck:
    """What enforce_splits found; reasons in `blocking` end the training."""

    shares: Mapping[str, float]
    blocking: tuple[str, ...]

    def facts(self) -> dict[str, Json]:
        return {"shares": dict(self.shares), "blocking": list(self.blocking)}


def choose_strategy(data: Dataset) -> Strategy:
    """Chronological with a time column, grouped where rows belong together, else stratified."""
    if data.time_column:
        return Strategy.CHRONOLOGICAL
    return Strategy.GROUPED if data.is_grouped else Strategy.STRATIFIED


def split(data: Dataset, strategy: Strategy | None = None, seed: int = SEED) -> Splits:
    """Split n rows 60/20/15/5; the same data, strategy and seed give the same rows."""
    strategy = strategy or choose_strategy(data)
    if strategy is Strategy.CHRONOLOGICAL:
        part = _by_time(data)
    elif strategy is Strategy.GROUPED:
        part = _by_group(data.groups, strata(data), seed)
    else:
        part = _by_stratum(strata(data), seed)
    rows = {name: np.flatnonzero(part == code) for code, name in enumerate(RATIOS)}
    return Splits(strategy, seed, rows)


def enforce(data: Dataset, splits: Splits) -> SplitCheck:
    """Check ratios, sizes, overlap, coverage and that no group crosses two splits."""
    reasons: list[str] = []
    every = np.concatenate([splits[name] for name in RATIOS])
    if len(np.unique(every)) != len(every):
        reasons.append("Some rows are in two splits.")
    if len(every) != len(data):
        reasons.append(f"The splits hold {len(every)} of {len(data)} rows.")
    shares = {name.value: len(splits[name]) / len(data) for name in RATIOS}
    for name, wanted in RATIOS.items():
        if len(splits[name]) < MINIMUM_ROWS:
            reasons.append(
                f"The {name} split has {len(splits[name])} rows; at least {MINIMUM_ROWS} "
                f"are needed, so about {int(MINIMUM_ROWS / min(RATIOS.values()))} in all."
            )
        elif abs(shares[name.value] - wanted) > TOLERANCE:
            reasons.append(
                f"The {name} split holds {shares[name.value]:.1%} of the rows; "
                f"{wanted:.0%} ± {TOLERANCE:.0%} is required."
            )
    if splits.strategy is Strategy.GROUPED and (crossing := shared(data.groups, splits)):
        reasons.append(f"{crossing} rows belong to a group that is in two splits.")
    if data.problem.is_classification:
        for name in RATIOS:
            absent = len(data.classes) - len(np.unique(data.labels(splits[name])))
            if absent and len(splits[name]) >= MINIMUM_ROWS:
                reasons.append(f"The {name} split lacks {absent} of {len(data.classes)} classes.")
    return SplitCheck(shares, tuple(reasons))


def shared(keys: Ints, splits: Splits) -> int:
    """Number of rows whose key occurs in more than one split."""
    seen_in = np.zeros(int(keys.max(initial=-1)) + 1, dtype=np.int64)
    for rows in splits.rows.values():
        seen_in[np.unique(keys[rows])] += 1
    return int(np.count_nonzero(seen_in[keys] > 1))


def strata(data: Dataset) -> Ints:
    """For each row the class, or the quantile of a numeric target."""
    if data.problem.is_classification:
        return data.y.to_numpy(dtype=np.int64)
    edges = np.quantile(data.y, np.linspace(0, 1, QUANTILES + 1)[1:-1])
    return np.searchsorted(edges, data.y.to_numpy(), side="right").astype(np.int64)


def folds(
    data: Dataset, splits: Splits, count: int, seed: int = SEED
) -> Iterator[tuple[Ints, Ints]]:
    """(fit rows, score rows) of each fold, inside the training split; groups are never cut."""
    from sklearn.model_selection import (
        GroupKFold,
        KFold,
        StratifiedGroupKFold,
        StratifiedKFold,
        TimeSeriesSplit,
    )

    rows = splits[Split.TRAIN]
    groups = None
    if splits.strategy is Strategy.CHRONOLOGICAL:
        rows = rows[np.argsort(data.frame[data.time_column].to_numpy()[rows], kind="stable")]
        splitter = TimeSeriesSplit(count)
    elif splits.strategy is Strategy.GROUPED:
        groups = data.groups[rows]
        kind = GroupKFold if data.problem is Problem.REGRESSION else StratifiedGroupKFold
        splitter = kind(count, shuffle=True, random_state=seed)
    else:
        kind = KFold if data.problem is Problem.REGRESSION else StratifiedKFold
        splitter = kind(count, shuffle=True, random_state=seed)
    for fit, score in splitter.split(rows, data.labels(rows), groups):
        yield rows[fit], rows[score]


def _by_stratum(stratum: Ints, seed: int) -> Ints:
    """Deal each stratum's rows out in shares, so that every split has the same mix."""
    generator = np.random.default_rng(seed)
    part = np.empty(len(stratum), dtype=np.int64)
    order = generator.permutation(len(stratum))
    order = order[np.argsort(stratum[order], kind="stable")]
    # One walk over all strata in a row: rounding never adds up over strata.
    for positions, code in _interleave(len(order), generator):
        part[order[positions]] = code
    return part


def _interleave(count: int, generator: np.random.Generator) -> Iterator[tuple[Ints, int]]:
    """Positions 0..count-1 dealt to the splits evenly: each stretch holds each split's share."""
    block = np.repeat(np.arange(len(RATIOS)), [round(ratio * 20) for ratio in RATIOS.values()])
    codes = np.concatenate([generator.permutation(block) for _ in range(-(-count // len(block)))])
    for code in range(len(RATIOS)):
        yield np.flatnonzero(codes[:count] == code), code


def _by_group(groups: Ints, stratum: Ints, seed: int) -> Ints:
    """Give whole groups, largest first, to the split that still lacks most of what they hold."""
    counts = np.zeros((int(groups.max()) + 1, int(stratum.max()) + 1))
    np.add.at(counts, (groups, stratum), 1)
    quota = np.outer(list(RATIOS.values()), counts.sum(axis=0))
    lacking = quota.copy()
    quota[quota == 0] = 1.0
    generator = np.random.default_rng(seed)
    order = generator.permutation(len(counts))
    order = order[np.argsort(-counts.sum(axis=1)[order], kind="stable")]
    chosen = np.empty(len(counts), dtype=np.int64)
    for group in order:
        code = int(np.argmax((lacking / quota) @ counts[group]))
        chosen[group] = code
        lacking[code] -= counts[group]
    return chosen[groups]


def _by_time(data: Dataset) -> Ints:
    """Oldest rows train, newest are held out; rows of one moment stay together."""
    if not data.time_column:
        raise InvalidInput(f"{data.name}: a chronological split needs a time column.")
    moments = data.frame[data.time_column].to_numpy()
    order = np.argsort(moments, kind="stable")
    part = np.empty(len(order), dtype=np.int64)
    start = 0
    for code, end_share in enumerate(np.cumsum(list(RATIOS.values()))):
        end = round(end_share * len(order))
        while 0 < end < len(order) and moments[order[end]] == moments[order[end - 1]]:
            end += 1
        part[order[start:end]] = code
        start = max(start, end)
    return part
