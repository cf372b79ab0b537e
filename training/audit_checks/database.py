"""2.2: every field of ml_training_runs equals what MLflow has."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

from django.db.models import Q

from e2i_site.audit.choices import Priority
from e2i_site.audit.registry import CheckContext, SubjectOutcome, check
from e2i_site.mlflow_connector.types import Run
from training.audit_checks.rows import HIDDEN, is_hidden, with_mlflow
from training.choices import RunRole, RunSource, RunStatus
from training.models import TrainingRun

STATUS = {
    "RUNNING": RunStatus.RUNNING,
    "SCHEDULED": RunStatus.SCHEDULED,
    "FINISHED": RunStatus.FINISHED,
    "FAILED": RunStatus.FAILED,
    "KILLED": RunStatus.KILLED,
}
SPLITS = {"train": "train_metrics", "validation": "validation_metrics", "test": "test_metrics"}
SAMPLES = {
    "train": "training_samples",
    "validation": "validation_samples",
    "test": "test_samples",
    "holdout": "holdout_samples",
}
# A row is stamped a moment before or after MLflow's run.
CLOCK = timedelta(minutes=2)

Difference = tuple[str, Any, Any]


@check(
    "2.2",
    phase=2,
    title="Every field of ml_training_runs equals MLflow's",
    remediation="Run manage.py sync_mlflow --full. What still differs was changed in MLflow or in "
    "the database by hand: compare both with the run's journal and its evaluation.json.",
    priority=Priority.P2,
)
def rows_equal_mlflow(context: CheckContext) -> Iterator[SubjectOutcome]:
    """Runs that E2I trained, and others' runs behind a version."""
    behind_a_version = Q(registry_entry__isnull=False) | Q(entries__isnull=False)
    rows = (
        TrainingRun.objects.filter(mlflow_available=True, deleted_in_mlflow=False)
        .filter(Q(source=RunSource.E2I, role=RunRole.TRAINING) | behind_a_version)
        .select_related("mlflow_experiment")
        .defer("evaluation", "request", "feature_names")
        .distinct()
    )
    for row, run in with_mlflow(context, rows):
        if run is None and is_hidden(row):
            yield context.inconclusive(row, HIDDEN)
        if run is None or run.is_deleted:
            continue  # 2.1 and 3.4 speak of those
        differences = list(_common(row, run))
        if row.source == RunSource.E2I and row.status == RunStatus.FINISHED:
            differences += _own(row, run)
        if differences:
            names = ", ".join(name for name, _, _ in differences)
            evidence = {
                name: {"here": ours, "mlflow": theirs} for name, ours, theirs in differences
            }
            yield context.failed(row, f"Differs from MLflow: {names}.", evidence=evidence)
        else:
            yield context.passed(row)


def _common(row: TrainingRun, run: Run) -> Iterator[Difference]:
    """What every mirrored run has."""
    status = STATUS.get(run.status, run.status)
    if row.status != status:
        yield "status", row.status, run.status
    if row.run_name != run.name:
        yield "run_name", row.run_name, run.name
    if row.mlflow_experiment_id != run.experiment_id:
        yield "mlflow_experiment_id", row.mlflow_experiment_id, run.experiment_id
    if row.params and row.params != run.params:
        yield "params", *_changed(row.params, run.params)
    if row.metrics and not _equal_numbers(row.metrics, run.metrics):
        yield "metrics", *_changed(row.metrics, run.metrics)
    for name, ours, theirs in (
        ("started_at", row.started_at, run.start_time),
        ("completed_at", row.completed_at, run.end_time),
    ):
        if ours and theirs and abs(ours - theirs) > CLOCK:
            yield name, ours, theirs


def _own(row: TrainingRun, run: Run) -> Iterator[Difference]:
    """What E2I's trainer also stores in columns of their own."""
    for field, param in (("algorithm", "algorithm_name"), ("framework", "framework")):
        if getattr(row, field) != run.params.get(param):
            yield field, getattr(row, field), run.params.get(param)
    if row.primary_metric != run.params.get("primary_metric"):
        yield "primary_metric", row.primary_metric, run.params.get("primary_metric")
    if row.optuna_study_name != run.params.get("hpo_study_name", ""):
        yield "optuna_study_name", row.optuna_study_name, run.params.get("hpo_study_name")
    best = run.params.get("hpo_best_trial", "")
    if ("" if row.optuna_trial_number is None else str(row.optuna_trial_number)) != best:
        yield "optuna_trial_number", row.optuna_trial_number, best
    for name, value in row.hyperparameters.items():
        if not _same_text(value, run.params.get(f"hp_{name}")):
            yield f"hyperparameters.{name}", value, run.params.get(f"hp_{name}")
    for split, field in SPLITS.items():
        for name, value in getattr(row, field).items():
            theirs = run.metrics.get(f"{split}_{name}")
            if not _same_number(value, theirs):
                yield f"{field}.{name}", value, theirs
    for split, field in SAMPLES.items():
        ours, samples = getattr(row, field), run.metrics.get(f"{split}_samples")
        if (ours or 0) != (samples or 0):
            yield field, ours, samples


def _same_text(value: Any, text: str | None) -> bool:
    """Whether a parameter's text says `value`; MLflow keeps text only, and shortens long ones."""
    if text is None:
        return False
    if isinstance(value, str):
        return value == text
    if text == str(value):
        return True
    try:
        return bool(json.loads(text) == value)
    except ValueError:
        return isinstance(value, list | dict) and len(text) > 200


def _same_number(ours: Any, theirs: float | None) -> bool:
    if ours is None or theirs is None:
        return ours is None and theirs is None
    try:
        value = float(ours)
    except (TypeError, ValueError):
        return False
    return (math.isnan(value) and math.isnan(theirs)) or math.isclose(value, theirs, rel_tol=1e-12)


def _equal_numbers(ours: Mapping[str, Any], theirs: Mapping[str, float]) -> bool:
    return ours.keys() == theirs.keys() and all(
        _same_number(value, theirs[name]) for name, value in ours.items()
    )


def _changed(
    ours: Mapping[str, Any], theirs: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The entries that are not on both sides alike."""
    names = [name for name in {**ours, **theirs} if ours.get(name) != theirs.get(name)]
    return {name: ours.get(name) for name in names}, {name: theirs.get(name) for name in names}
