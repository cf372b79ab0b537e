"""Experiments, data sets and runs."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import Any

import factory
from django.utils import timezone

from tests.factories.people import UserFactory
from training import metrics
from training.choices import (
    CandidateOutcome,
    DatasetKind,
    NodeOutcome,
    ProblemType,
    RunStatus,
    SplitStrategy,
    TrialState,
)
from training.models import (
    Candidate,
    DataQualityReport,
    Dataset,
    Experiment,
    PipelineNode,
    RunMetric,
    Selection,
    SplitDefinition,
    Study,
    TrainingRun,
    Trial,
)


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
        skip_postgeneration_save = True

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

    @factory.post_generation
    def metric_rows(self: TrainingRun, create: bool, extracted: Any, **kwargs: Any) -> None:  # type: ignore[misc]
        """The index of the metrics, as whoever stores metrics writes it."""
        if create:
            RunMetric.objects.bulk_create(
                RunMetric(run=self, key=key, value=float(value))
                for key, value in {**self.metrics, **metrics.values(self)}.items()
                if value != "NaN"
            )


class CandidateFactory(factory.django.DjangoModelFactory[Candidate]):
    """A benchmarked candidate."""

    class Meta:
        model = Candidate

    selection = factory.SubFactory(SelectionFactory)
    algorithm = "LightGBM"
    framework = "lightgbm"
    outcome = CandidateOutcome.BENCHMARKED
    selection_score = 0.68
    score_parts = {"history": 0.304, "latency": 0.19, "memory": 0.14, "interpretability": 0.09}
    benchmark_mean = 0.72
    benchmark_std = 0.01
    benchmark_score = 0.715
    fold_scores = [0.71, 0.72, 0.73]
    combined_score = 0.694
    latency_ms = 1.4
    memory_gb = 0.004
    fit_seconds = 0.8


class NodeFactory(factory.django.DjangoModelFactory[PipelineNode]):
    """One executed node of a training run; give `selection` and no run for one of a selection."""

    class Meta:
        model = PipelineNode

    training_run = factory.SubFactory(TrainingRunFactory)
    position = factory.Sequence(lambda n: n + 1)
    name = "check_qc_gate"
    outcome = NodeOutcome.SUCCEEDED
    started_at = factory.LazyFunction(lambda: timezone.now() - timedelta(seconds=30))
    ended_at = factory.LazyAttribute(
        lambda o: (
            None if o.outcome == NodeOutcome.RUNNING else o.started_at + timedelta(seconds=1.5)
        )
    )


class StudyFactory(factory.django.DjangoModelFactory[Study]):
    class Meta:
        model = Study

    name = factory.Sequence(lambda n: f"e2i_experiment-{n}_LightGBM_hpo")
    experiment_id = "visits"
    algorithm = "LightGBM"
    problem_type = ProblemType.BINARY
    metric = "roc_auc"
    direction = "maximize"
    rows = 12_114
    features = 2


class TrialFactory(factory.django.DjangoModelFactory[Trial]):
    class Meta:
        model = Trial

    study = factory.SubFactory(StudyFactory)
    training_run = factory.SubFactory(TrainingRunFactory)
    number = factory.Sequence(lambda n: n)
    state = TrialState.COMPLETE
    value = 0.72
    params: dict[str, Any] = {"num_leaves": 31, "learning_rate": 0.05}
    intermediate: dict[str, Any] = {"0": 0.71, "1": 0.72}
    seconds = 1.2


class QualityFactory(factory.django.DjangoModelFactory[DataQualityReport]):
    class Meta:
        model = DataQualityReport

    training_run = factory.SubFactory(TrainingRunFactory)
    score = 0.96
    dimensions: dict[str, Any] = {
        "completeness": {"score": 0.98, "weight": 0.25, "detail": "8 of 400 values are missing."},
        "timeliness": {"score": None, "weight": 0.15, "detail": "There is no time column."},
    }
    passed = True


class SplitFactory(factory.django.DjangoModelFactory[SplitDefinition]):
    class Meta:
        model = SplitDefinition

    training_run = factory.SubFactory(TrainingRunFactory)
    strategy = SplitStrategy.STRATIFIED
    seed = 42
    sizes = {"train": 12_114, "validation": 4_038, "test": 3_029, "holdout": 1_009}
    digests = factory.LazyAttribute(
        lambda o: {name: digest(f"{name}{o.seed}") for name in ("train", "test")}
    )
