"""How uneven the classes are, and what is done about it, on training rows only."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np

from e2i_site.core.errors import InvalidInput
from training.pipeline.arrays import Floats
from training.pipeline.data import Dataset
from training.pipeline.splits import Splits
from training.pipeline.types import SEED, Balancing, Json, Split

MINIMUM_NEIGHBOURS = 6


class Level(StrEnum):
    """By the share of the rarest class (times k/2 for k classes)."""

    NONE = "none"
    MODERATE = "moderate"
    SEVERE = "severe"
    EXTREME = "extreme"


@dataclass(frozen=True)
class Imbalance:
    """`minority_share` is the rarest class's share of the training rows, None for regression."""

    level: Level
    minority_share: float | None
    balancing: Balancing
    reason: str
    blocking: tuple[str, ...] = ()

    def facts(self) -> dict[str, Json]:
        return {
            "level": self.level.value,
            "minority_share": self.minority_share,
            "balancing": self.balancing.value,
            "reason": self.reason,
        }


def detect(data: Dataset, splits: Splits, wanted: Balancing | None = None) -> Imbalance:
    """Measure the imbalance of the training split and choose what to do.

    Without a wish, classes are weighted only where the rarest is under 20 %: served answers are
    probabilities, and balancing distorts them (van den Goorbergh et al., JAMIA 2022); the
    decision threshold is chosen on validation anyway.
    """
    if not data.problem.is_classification:
        if wanted not in (None, Balancing.NONE):
            raise InvalidInput("Balancing is for classification only.", field="balancing")
        return Imbalance(Level.NONE, None, Balancing.NONE, "Regression has no classes.")
    counts = np.bincount(data.labels(splits[Split.TRAIN]).astype(int), minlength=len(data.classes))
    share = float(counts.min() / counts.sum())
    level = level_of(share * len(counts) / 2)
    if wanted is not None:
        return Imbalance(level, share, wanted, "Asked for.")
    if level in (Level.SEVERE, Level.EXTREME):
        reason = f"The rarest class holds {share:.1%} of the training rows."
        return Imbalance(level, share, Balancing.CLASS_WEIGHT, reason)
    reason = "Probabilities stay calibrated; the threshold is chosen on validation."
    return Imbalance(level, share, Balancing.NONE, reason)


def level_of(share: float) -> Level:
    """none ≥ 40 %, moderate 20–40, severe 5–20, extreme < 5."""
    if share >= 0.40:
        return Level.NONE
    if share >= 0.20:
        return Level.MODERATE
    return Level.SEVERE if share >= 0.05 else Level.EXTREME


def resample(
    X: Floats, y: np.ndarray, balancing: Balancing, seed: int = SEED
) -> tuple[Floats, np.ndarray]:
    """Resampled copies of preprocessed training rows; the same rows where nothing is resampled."""
    sampler = _sampler(y, balancing, seed)
    if sampler is None:
        return X, y
    resampled: tuple[Floats, np.ndarray] = sampler.fit_resample(X, y)
    return resampled


def weights(y: np.ndarray, balancing: Balancing) -> Floats | None:
    """A weight a row when classes are weighted, else None; never together with resampling."""
    if balancing is not Balancing.CLASS_WEIGHT:
        return None
    from sklearn.utils.class_weight import compute_sample_weight

    weight: Floats = compute_sample_weight("balanced", y)
    return weight


def _sampler(y: np.ndarray, balancing: Balancing, seed: int) -> Any:
    from imblearn.combine import SMOTETomek
    from imblearn.over_sampling import SMOTE, RandomOverSampler
    from imblearn.pipeline import Pipeline
    from imblearn.under_sampling import RandomUnderSampler

    if balancing in (Balancing.SMOTE, Balancing.SMOTE_TOMEK):
        rarest = int(np.bincount(y.astype(int)).min())
        if rarest < MINIMUM_NEIGHBOURS:
            raise InvalidInput(
                f"{balancing.value} needs at least {MINIMUM_NEIGHBOURS} training rows of each "
                f"class; the rarest has {rarest}. Choose random_oversample.",
                field="balancing",
            )
    if balancing is Balancing.OVERSAMPLE:
        return RandomOverSampler(random_state=seed)
    if balancing is Balancing.UNDERSAMPLE:
        return RandomUnderSampler(random_state=seed)
    if balancing is Balancing.SMOTE:
        return SMOTE(random_state=seed)
    if balancing is Balancing.SMOTE_TOMEK:
        return SMOTETomek(smote=SMOTE(random_state=seed), random_state=seed)
    if balancing is Balancing.COMBINED:
        over = RandomOverSampler(sampling_strategy=_halfway(y), random_state=seed)
        return Pipeline([("over", over), ("under", RandomUnderSampler(random_state=seed))])
    return None


def _halfway(y: np.ndarray) -> dict[int, int]:
    """Raise each class to the geometric mean of its own and the largest class's size."""
    counts = np.bincount(y.astype(int))
    goal = np.sqrt(counts * counts.max()).astype(int)
    return {int(code): int(max(goal[code], counts[code])) for code in np.flatnonzero(counts)}
