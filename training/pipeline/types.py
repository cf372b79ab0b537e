"""Words that every node shares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, TypeAlias

Json: TypeAlias = bool | int | float | str | Sequence["Json"] | Mapping[str, "Json"] | None
Params: TypeAlias = Mapping[str, Any]

SEED = 42


class Problem(StrEnum):
    """What is predicted."""

    BINARY = "binary"
    MULTICLASS = "multiclass"
    REGRESSION = "regression"

    @property
    def is_classification(self) -> bool:
        return self is not Problem.REGRESSION


class Split(StrEnum):
    """The four parts of a data set, in order of use."""

    TRAIN = "train"
    VALIDATION = "validation"
    TEST = "test"
    HOLDOUT = "holdout"


class Balancing(StrEnum):
    """What is done about uneven classes, on training rows only."""

    NONE = "none"
    CLASS_WEIGHT = "class_weight"
    OVERSAMPLE = "random_oversample"
    UNDERSAMPLE = "random_undersample"
    SMOTE = "smote"
    SMOTE_TOMEK = "smote_tomek"
    COMBINED = "combined"


# The figure that candidates are compared by; higher is better for each.
PRIMARY_METRIC = {
    Problem.BINARY: "roc_auc",
    Problem.MULTICLASS: "roc_auc_ovr",
    Problem.REGRESSION: "r2",
}
