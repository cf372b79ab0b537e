"""Writing a training run to MLflow."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd

from e2i_site.mlflow_connector.models import digest as digest_of
from e2i_site.mlflow_connector.models import save_model
from e2i_site.mlflow_connector.naming import experiment_name
from training.pipeline.data import Dataset
from training.pipeline.imbalance import Imbalance
from training.pipeline.splits import Splits
from training.pipeline.tracking import RunTracker, TrackedRun, log_data
from training.pipeline.trainer.hpo import TrialFact, Tuning
from training.pipeline.trainer.plots import draw
from training.pipeline.trainer.state import Evaluation, Trained, TrainingRequest
from training.pipeline.types import Json, Problem, Split

AGENT = "model_trainer"
EXAMPLE_ROWS = 5
# Distributions that a served model needs, besides that of its own framework.
_NEEDED = ("mlflow", "scikit-learn", "numpy", "pandas", "scipy", "skops")


@dataclass(frozen=True)
class Findings:
    """What is written."""

    data: Dataset
    request: TrainingRequest
    splits: Splits
    imbalance: Imbalance
    tuning: Tuning
    trained: Trained
    evaluation: Evaluation
    seconds: float


def mlflow_experiment(request: TrainingRequest) -> str:
    """e2i_model_trainer_{experiment_id}"""
    return experiment_name(AGENT, request.experiment_id)


def save(found: Findings, folder: Path) -> Path:
    """Save the model with signature, input example and pinned requirements; returns its folder.

    The served answer is one probability a class for classification, a number for regression.
    """
    return save_model(
        found.trained.model,
        folder / "model",
        example=example_rows(found.data, found.splits),
        requirements=requirements(found.trained.framework),
        predict_method=predict_method(found.data.problem),
    )


def predict_method(problem: Problem) -> str:
    """What the served model's `predict` calls."""
    return "predict_proba" if problem.is_classification else "predict"


def example_rows(data: Dataset, splits: Splits) -> pd.DataFrame:
    """A few training rows; where a category may be missing, one row in which it is.

    The signature is inferred from them: a column that is never missing there becomes required.
    """
    train = data.take(splits[Split.TRAIN])
    rows = [train.head(EXAMPLE_ROWS)]
    rows += [train[train[name].isna()].head(1) for name in data.categories]
    example = pd.concat(rows).drop_duplicates().reset_index(drop=True)
    return example.where(example.notna(), None) if data.categories else example


def requirements(framework: str) -> list[str]:
    """Pinned pip requirements of a model of this framework."""
    pinned = [f"{name}=={version(name)}" for name in _NEEDED]
    if framework in ("lightgbm", "xgboost"):
        module = __import__(framework)
        pinned.append(f"{framework}=={module.__version__}")
    return pinned


def log_trial(
    tracker: RunTracker, parent: TrackedRun, request: TrainingRequest, metric: str, fact: TrialFact
) -> str:
    """Log one trial as a nested run; returns its journal id."""
    with tracker.start_run(
        mlflow_experiment(request),
        run_name=f"trial-{fact.number}",
        parent=parent.journal_id,
        journal_id=f"{parent.journal_id}.trial-{fact.number}",
        tags={
            "algorithm": request.algorithm,
            "experiment_id": request.experiment_id,
            "source": "e2i",
            "role": "trial",
            "trial_state": fact.state,
            **({"error": fact.error} if fact.error else {}),
        },
    ) as run:
        run.log_params(
            {"optuna_trial_number": fact.number}
            | {f"hp_{name}": value for name, value in fact.params.items()}
        )
        for step, value in fact.intermediate.items():
            run.log_metrics({f"running_{metric}": value}, step=step)
        if fact.value is not None:
            run.log_metrics({metric: fact.value})
        return run.journal_id


def log_training(run: TrackedRun, found: Findings, folder: Path) -> str:
    """Log everything but the trials; returns the digest of the model's files."""
    run.log_params(_params(found))
    run.set_tags({"framework": found.trained.framework})
    run.log_metrics(_metrics(found))
    log_data(run, found.data)
    plots = folder / "plots"
    plots.mkdir()
    evaluation = found.evaluation
    for path in draw(plots, evaluation.curves, evaluation.importance, evaluation.classes):
        run.log_artifact(path, "plots")
    run.log_dict(_summary(found), "evaluation.json")
    run.log_dict(dict(evaluation.importance), "feature_importance.json")
    run.log_artifact(_save_preprocessing(found, folder), "")
    return run.log_model(
        folder / "model",
        register_as=found.request.registered_model or None,
        version_tags={
            "algorithm": found.request.algorithm,
            "experiment_id": found.request.experiment_id,
        },
    )


def keep(model: Path, store: Path) -> tuple[Path, str]:
    """Copy a saved model to `store`/<digest>, all files or none; returns where, and the digest."""
    import shutil
    import uuid

    digest = digest_of(model)
    goal = store / digest
    if not goal.exists():
        store.mkdir(parents=True, exist_ok=True)
        staging = store / f".{uuid.uuid4().hex}"
        shutil.copytree(model, staging)
        try:
            staging.rename(goal)
        except OSError:
            shutil.rmtree(staging)
            if not goal.exists():
                raise
    return goal, digest


def _save_preprocessing(found: Findings, folder: Path) -> Path:
    return save_model(
        found.trained.model[:-1],
        folder / "preprocessing",
        requirements=requirements("sklearn"),
        predict_method="transform",
    )


def _params(found: Findings) -> dict[str, Any]:
    request, tuning = found.request, found.tuning
    return {
        **{f"hp_{name}": value for name, value in found.trained.hyperparameters.items()},
        "algorithm_name": request.algorithm,
        "problem_type": found.data.problem.value,
        "framework": found.trained.framework,
        "hpo_trials": len(tuning.trials),
        "hpo_study_name": tuning.study_name,
        "hpo_best_trial": "" if tuning.best_trial is None else tuning.best_trial,
        "hpo_metric": tuning.metric,
        "hpo_folds": request.folds,
        "hpo_warm_started_from": tuning.warm_started_from,
        "balancing": found.imbalance.balancing.value,
        "split_strategy": found.splits.strategy.value,
        "seed": request.seed,
        "primary_metric": found.evaluation.primary_metric,
        "dataset_digest": found.data.digest,
        "feature_names": list(found.data.features),
    }


def _metrics(found: Findings) -> dict[str, float]:
    evaluation = found.evaluation
    metrics = {
        f"{split}_{name}": value
        for split, values in evaluation.metrics.items()
        for name, value in values.items()
    }
    for name, (low, high) in evaluation.intervals.items():
        metrics[f"test_{name}_low"] = low
        metrics[f"test_{name}_high"] = high
    metrics |= {f"{split}_samples": float(n) for split, n in found.splits.sizes.items()}
    metrics["duration_seconds"] = found.seconds
    if evaluation.threshold is not None:
        metrics["threshold"] = evaluation.threshold
    if evaluation.primary_value is not None:
        metrics["primary_metric"] = evaluation.primary_value
    if found.tuning.best_value is not None:
        metrics["hpo_best_value"] = found.tuning.best_value
    return metrics


def _summary(found: Findings) -> dict[str, Json]:
    return {
        **found.evaluation.facts(),
        **found.evaluation.as_dict(),
        "splits": found.splits.facts(),
        "imbalance": found.imbalance.facts(),
        "tuning": found.tuning.facts(),
    }
