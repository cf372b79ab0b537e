"""Experiments, data sets and runs."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import Any

import factory
from django.utils import timezone

from tests.factories.people import UserFactory
from training.choices import DatasetKind, ProblemType, RunStatus
from training.models import Dataset, Experiment, Selection, TrainingRun


def digest(text: object) -> str:
    """A SHA-256 that belongs to `text`, for rows that need one."""
    return hashlib.sha256(str(text).encode()).hexdigest()


class DatasetFactory(factory.django.DjangoModelFactory[Dataset]):
    class Meta:
        model = Dataset

    name = factory.Sequence(lambda n: f"visits-{n}")
    kind = DatasetKind.FILE
    location = factory.LazyAttribute(lambda o: f"{o.name}.parquet")
    digest = factory.LazyAttribute(lambda o: digest(o.name))
    target = "any_visit"
    problem_type = ProblemType.BINARY
    columns = [
        {"name": "age", "dtype": "float64"},
        {"name": "income", "dtype": "float64"},
        {"name": "any_visit", "dtype": "int64"},
    ]
    row_count = 20_190


class ExperimentFactory(factory.django.DjangoModelFactory[Experiment]):
    class Meta:
        model = Experiment

    experiment_id = factory.Sequence(lambda n: f"experiment-{n}")
    name = factory.LazyAttribute(lambda o: o.experiment_id.replace("-", " ").capitalize())
    prediction_target = "any visit within a year"
    problem_type = ProblemType.BINARY
    dataset = factory.SubFactory(DatasetFactory)
    minimum_auc = 0.6


class SelectionFactory(factory.django.DjangoModelFactory[Selection]):
    class Meta:
        model = Selection

    experiment = factory.SubFactory(ExperimentFactory)
    dataset = factory.SelfAttribute("experiment.dataset")
    status = RunStatus.FINISHED
    selected_algorithm = "LightGBM"
    mlflow_run_id = factory.Sequence(lambda n: digest(f"selection{n}")[:32])


class TrainingRunFactory(factory.django.DjangoModelFactory[TrainingRun]):
    """A finished run with its metrics; `metrics` and intervals are the test split's."""

    class Meta:
        model = TrainingRun

    experiment = factory.SubFactory(ExperimentFactory)
    dataset = factory.LazyAttribute(lambda o: o.experiment.dataset if o.experiment else None)
    run_name = factory.Sequence(lambda n: f"run-{n}")
    status = RunStatus.FINISHED
    mlflow_run_id = factory.Sequence(lambda n: digest(f"run{n}")[:32])
    mlflow_available = True
    algorithm = "LightGBM"
    framework = "lightgbm"
    hyperparameters: dict[str, Any] = {"num_leaves": 31, "learning_rate": 0.05}
    feature_names = ["age", "income"]
    training_samples = 12_114
    test_samples = 3_029
    test_metrics = {"roc_auc": 0.71, "pr_auc": 0.83, "brier": 0.19, "calibration_slope": 1.02}
    evaluation = {"threshold": 0.5, "intervals": {"roc_auc": [0.69, 0.73]}}
    primary_metric = "roc_auc"
    created_by = factory.SubFactory(UserFactory)
    started_at = factory.LazyFunction(lambda: timezone.now() - timedelta(hours=2))
    completed_at = factory.LazyFunction(lambda: timezone.now() - timedelta(hours=1))
    duration_seconds = 3600.0
