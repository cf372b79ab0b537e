"""Experiments: modelling questions, and MLflow's experiments that hold their runs."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.urls import reverse

from training.choices import ProblemType
from training.models.dataset import Dataset

# Success criteria: field of Experiment -> (metric of the test split, "min" or "max").
CRITERIA: dict[str, tuple[str, str]] = {
    "minimum_auc": ("roc_auc", "min"),
    "minimum_pr_auc": ("pr_auc", "min"),
    "minimum_precision_at_k": ("precision_at_k", "min"),
    "minimum_recall": ("recall", "min"),
    "maximum_fpr": ("fpr", "max"),
    "maximum_brier": ("brier", "max"),
    "minimum_r2": ("r2", "min"),
    "maximum_rmse": ("rmse", "max"),
}


def is_measured(metric: str, problem_type: str) -> bool:
    """Whether a criterion's metric exists for the problem; those of several classes have none."""
    if metric in ("r2", "rmse"):
        return problem_type == ProblemType.REGRESSION
    return problem_type == ProblemType.BINARY


_RATIO = [MinValueValidator(0.0), MaxValueValidator(1.0)]


def _ratio_in_range(field: str, low: float = 0.0) -> models.CheckConstraint:
    return models.CheckConstraint(
        condition=Q(**{f"{field}__isnull": True})
        | Q(**{f"{field}__gte": low, f"{field}__lte": 1.0}),
        name=f"experiment_{field}_range",
    )


class Experiment(models.Model):
    """A modelling question with its target, its data set and its success criteria."""

    experiment_id = models.SlugField(max_length=100, unique=True)
    name = models.CharField(max_length=200)
    description = models.TextField(blank=True)
    prediction_target = models.CharField(max_length=200)
    problem_type = models.CharField(max_length=12, choices=ProblemType.choices)
    target_population = models.CharField(max_length=300, blank=True)
    observation_window_days = models.PositiveIntegerField(null=True, blank=True)
    prediction_horizon_days = models.PositiveIntegerField(null=True, blank=True)
    dataset = models.ForeignKey(Dataset, on_delete=models.PROTECT, related_name="experiments")
    minimum_auc = models.FloatField(
        null=True, blank=True, validators=[MinValueValidator(0.5), MaxValueValidator(1.0)]
    )
    minimum_pr_auc = models.FloatField(null=True, blank=True, validators=_RATIO)
    minimum_precision_at_k = models.FloatField(null=True, blank=True, validators=_RATIO)
    minimum_recall = models.FloatField(null=True, blank=True, validators=_RATIO)
    maximum_fpr = models.FloatField(null=True, blank=True, validators=_RATIO)
    maximum_brier = models.FloatField(null=True, blank=True, validators=_RATIO)
    minimum_r2 = models.FloatField(null=True, blank=True, validators=[MaxValueValidator(1.0)])
    maximum_rmse = models.FloatField(null=True, blank=True, validators=[MinValueValidator(0.0)])
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        db_table = "ml_experiments"
        ordering = ["experiment_id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(problem_type__in=ProblemType.values), name="experiment_problem_is_legal"
            ),
            _ratio_in_range("minimum_auc", 0.5),
            _ratio_in_range("minimum_pr_auc"),
            _ratio_in_range("minimum_precision_at_k"),
            _ratio_in_range("minimum_recall"),
            _ratio_in_range("maximum_fpr"),
            _ratio_in_range("maximum_brier"),
        ]

    def __str__(self) -> str:
        return self.name or self.experiment_id

    def get_absolute_url(self) -> str:
        return reverse("training:experiment", args=[self.experiment_id])

    @property
    def trail_scope(self) -> str:
        return f"experiment:{self.experiment_id}"

    @property
    def success_criteria(self) -> dict[str, dict[str, Any]]:
        """Criteria that are set: {field: {"metric", "direction", "limit"}}."""
        return {
            field: {"metric": metric, "direction": direction, "limit": getattr(self, field)}
            for field, (metric, direction) in CRITERIA.items()
            if getattr(self, field) is not None
        }


class MlflowExperiment(models.Model):
    """An experiment as MLflow has it, mirrored. E2I's own ones point to their Experiment."""

    mlflow_id = models.CharField(max_length=64, unique=True)
    name = models.CharField(max_length=500)
    artifact_location = models.TextField(blank=True)
    deleted = models.BooleanField(default=False)
    hidden_since = models.DateTimeField(
        null=True,
        blank=True,
        help_text="Since when MLflow has refused to show it to E2I's account.",
    )
    tags = models.JSONField(default=dict)
    experiment = models.ForeignKey(
        Experiment,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="mlflow_experiments",
    )
    agent_type = models.CharField(
        max_length=30, blank=True, help_text="From E2I's naming; empty for others' experiments."
    )
    created_at = models.DateTimeField(null=True, blank=True)
    synced_at = models.DateTimeField(auto_now=True)

    class Meta:
        db_table = "ml_mlflow_experiments"
        ordering = ["name"]
        indexes = [models.Index(fields=["name"], name="mlflow_experiment_name")]

    def __str__(self) -> str:
        return self.name
