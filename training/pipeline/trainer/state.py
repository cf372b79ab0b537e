"""What goes from node to node."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from training.pipeline.arrays import Floats
from training.pipeline.imbalance import Imbalance
from training.pipeline.splits import SplitCheck, Splits
from training.pipeline.trainer.curves import Curves
from training.pipeline.trainer.hpo import Tuning
from training.pipeline.trainer.qc import Quality
from training.pipeline.types import PRIMARY_METRIC, SEED, Balancing, Json, Problem


@dataclass(frozen=True)
class TrainingRequest:
    """What to train. `storage_url` and `run_key` are for the study; see `TuningRequest`.

    `split_digests`: digests of the split an earlier run on this data used, to be met again.
    `tags` are added to the MLflow run.
    """

    experiment_id: str
    algorithm: str
    storage_url: str
    run_key: str
    trials: int = 50
    timeout_seconds: float = 3600.0
    folds: int = 3
    balancing: Balancing | None = None
    seed: int = SEED
    n_jobs: int = 1
    registered_model: str = ""
    split_digests: Mapping[str, str] | None = None
    tags: Mapping[str, str] | None = None


@dataclass(frozen=True, eq=False)
class Preprocessed:
    """Preprocessing fitted on the training rows, and those rows after it."""

    preprocessing: Any
    X: Floats
    y: np.ndarray
    columns: tuple[str, ...]
    blocking: tuple[str, ...] = ()

    def facts(self) -> dict[str, Json]:
        return {"fitted_on_rows": len(self.y), "columns": list(self.columns)}


@dataclass(frozen=True, eq=False)
class Resampled:
    """Training rows as the estimator gets them; `weight` where classes are weighted."""

    X: Floats
    y: np.ndarray
    weight: Floats | None
    balancing: Balancing
    rows_before: int
    blocking: tuple[str, ...] = ()

    def facts(self) -> dict[str, Json]:
        return {
            "balancing": self.balancing.value,
            "rows_before": self.rows_before,
            "rows_after": len(self.y),
            "weighted": self.weight is not None,
        }


@dataclass(frozen=True, eq=False)
class Trained:
    """`model` is one scikit-learn Pipeline: raw columns in, predictions out."""

    model: Any
    framework: str
    fit_seconds: float
    hyperparameters: Mapping[str, Any]
    blocking: tuple[str, ...] = ()

    def facts(self) -> dict[str, Json]:
        return {"framework": self.framework, "fit_seconds": round(self.fit_seconds, 3)}


@dataclass(frozen=True)
class Evaluation:
    """Metrics a split; `intervals` are 95 % bootstrap intervals on test; `curves` of test.

    `threshold` was chosen on validation; None unless binary. `importance` is the loss of the
    primary metric on validation when one feature is shuffled.
    """

    primary_metric: str
    threshold: float | None
    metrics: Mapping[str, Mapping[str, float]]
    intervals: Mapping[str, tuple[float, float]]
    curves: Curves
    importance: Mapping[str, float]
    classes: tuple[str, ...]
    blocking: tuple[str, ...] = ()

    @property
    def primary_value(self) -> float | None:
        """The primary metric on test."""
        return self.metrics["test"].get(self.primary_metric)

    def facts(self) -> dict[str, Json]:
        return {
            "primary_metric": self.primary_metric,
            "threshold": self.threshold,
            **{split: dict(found) for split, found in self.metrics.items()},
        }

    def as_dict(self) -> dict[str, Json]:
        """All but the metrics themselves, for storage with the run."""
        return {
            "threshold": self.threshold,
            "threshold_chosen_on": "validation" if self.threshold is not None else None,
            "classes": list(self.classes),
            "intervals": {name: list(pair) for name, pair in self.intervals.items()},
            "interval_level": 0.95,
            "curves": self.curves.as_dict(),
            "importance": dict(self.importance),
        }


@dataclass(frozen=True)
class Logged:
    """What the tracker was given. `run_id` is None while MLflow is away; `model_digest` is of the
    model's files."""

    journal_id: str
    run_id: str | None
    model_digest: str
    trial_journal_ids: Mapping[int, str]
    blocking: tuple[str, ...] = ()

    def facts(self) -> dict[str, Json]:
        return {
            "mlflow_run_id": self.run_id,
            "journal_id": self.journal_id,
            "model_digest": self.model_digest,
            "trial_runs": len(self.trial_journal_ids),
        }


@dataclass(frozen=True)
class Checkpoint:
    """Where the model's files are kept."""

    path: Path
    digest: str
    blocking: tuple[str, ...] = ()

    def facts(self) -> dict[str, Json]:
        return {"digest": self.digest}


@dataclass(frozen=True)
class TrainingResult:
    """Everything a training run found out, as far as it came.

    `blocked_by` names the gate that ended it; then what comes after that gate is None.
    """

    problem: Problem
    quality: Quality | None = None
    splits: Splits | None = None
    split_check: SplitCheck | None = None
    imbalance: Imbalance | None = None
    preprocessed: Preprocessed | None = None
    resampled: Resampled | None = None
    tuning: Tuning | None = None
    trained: Trained | None = None
    evaluation: Evaluation | None = None
    logged: Logged | None = None
    checkpoint: Checkpoint | None = None
    blocked_by: str = ""

    @property
    def primary_metric(self) -> str:
        return PRIMARY_METRIC[self.problem]
