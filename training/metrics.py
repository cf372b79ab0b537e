"""What metrics are called, which way is better, and where a run keeps their values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.db.models import FloatField
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Cast, Coalesce

if TYPE_CHECKING:
    from training.models import TrainingRun

SPLITS = ("train", "validation", "test")
# The figure runs of an experiment are compared by; a run has one of them.
PRIMARY = ("roc_auc", "roc_auc_ovr", "r2")
LOWER_IS_BETTER = frozenset(
    {"brier", "log_loss", "calibration_error", "fpr", "rmse", "mae", "mape", "mse", "loss"}
)
# Metrics whose best value is neither the highest nor the lowest.
IDEAL = {"calibration_slope": 1.0}
# Said of the data or the process, not of quality.
NEUTRAL = frozenset({"samples", "rows", "prevalence", "threshold", "support", "duration"})
_LABELS = {
    "roc_auc": "ROC AUC",
    "roc_auc_ovr": "ROC AUC, one against the rest",
    "pr_auc": "PR AUC",
    "r2": "R²",
    "rmse": "RMSE",
    "mae": "MAE",
    "mape": "MAPE",
    "brier": "Brier score",
    "log_loss": "Log loss",
    "accuracy": "Accuracy",
    "precision": "Precision",
    "recall": "Recall",
    "f1": "F1",
    "fpr": "False-positive rate",
    "precision_at_k": "Precision at k",
    "calibration_slope": "Calibration slope",
    "calibration_error": "Calibration error",
}
_ORDER = {name: position for position, name in enumerate(_LABELS)}


def split_name(name: str) -> tuple[str, str]:
    """("test", "roc_auc") of "test_roc_auc"; ("", name) for a name without a split."""
    head, _, rest = name.partition("_")
    return (head, rest) if head in SPLITS and rest else ("", name)


def label(name: str) -> str:
    """The words for a metric: "test_roc_auc" gives "Test ROC AUC"."""
    split, metric = split_name(name)
    words = _LABELS.get(metric) or metric.replace("_", " ").replace("f1", "F1")
    if split:
        return f"{split.capitalize()} {_inside(words)}"
    return words[:1].upper() + words[1:]


def _inside(words: str) -> str:
    """The words in the middle of a label: capitals stay where they are part of a name."""
    first = words.split()[0]
    is_name = first == "Brier" or any(letter.isdigit() or letter.isupper() for letter in first[1:])
    return words if is_name else words[:1].lower() + words[1:]


def direction(name: str) -> str:
    """Which way is better: "higher", "lower", "near" an ideal, or "" where nothing can be said."""
    metric = split_name(name)[1]
    if metric in NEUTRAL:
        return ""
    if metric in IDEAL:
        return "near"
    if metric in LOWER_IS_BETTER:
        return "lower"
    return (
        "higher" if metric in _LABELS or metric.startswith(("precision_", "recall_", "f1_")) else ""
    )


def goodness(name: str, value: float) -> float | None:
    """A number that grows as the metric gets better; None without a direction."""
    way = direction(name)
    if way == "near":
        return -abs(value - IDEAL[split_name(name)[1]])
    return {"higher": value, "lower": -value}.get(way)


def in_order(names: Iterable[str]) -> list[str]:
    """Names without repeats: well-known metrics first, test before validation before train."""

    def key(name: str) -> tuple[int, int, str]:
        split, metric = split_name(name)
        place = SPLITS[::-1].index(split) if split else len(SPLITS)
        return (_ORDER.get(metric, len(_ORDER)), place, name)

    return sorted(set(names), key=key)


def values(run: TrainingRun) -> dict[str, float]:
    """All metrics of a run by MLflow's names, its own measurements before what was mirrored."""
    own = {
        f"{split}_{name}": value
        for split in SPLITS
        for name, value in getattr(run, f"{split}_metrics").items()
    }
    return numbers({**run.metrics, **own})


def numbers(raw: Mapping[str, Any]) -> dict[str, float]:
    """The entries that hold a number."""
    return {
        name: float(value)
        for name, value in raw.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }


def column(name: str) -> Coalesce | Cast:
    """The metric as an expression over TrainingRun, for filters and ordering."""
    split, metric = split_name(name)
    mirrored = _number(name, "metrics")
    return Coalesce(_number(metric, f"{split}_metrics"), mirrored) if split else mirrored


def validation_primary() -> Coalesce:
    """What picks the best run: the primary metric on validation, never on test."""
    return Coalesce(*(_number(name, "validation_metrics") for name in PRIMARY))


def _number(key: str, field: str) -> Cast:
    return Cast(KeyTextTransform(key, field), FloatField())


@dataclass(frozen=True)
class Interval:
    """A value with its 95 % interval, where one was computed."""

    value: float
    low: float | None = None
    high: float | None = None


def estimates(run: TrainingRun) -> dict[str, Interval]:
    """Test metrics with their intervals."""
    intervals: Mapping[str, Any] = run.evaluation.get("intervals") or {}
    return {
        name: Interval(value, *(intervals.get(name) or (None, None)))
        for name, value in numbers(run.test_metrics).items()
    }
