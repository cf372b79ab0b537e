"""Training runs: E2I's own, and those that others logged to MLflow."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Upper
from django.urls import reverse

from e2i_site.core.fields import IdentifierField
from e2i_site.jobs.models import Job
from training.choices import RunRole, RunSource, RunStatus
from training.models.dataset import Dataset
from training.models.experiment import Experiment, MlflowExperiment
from training.models.selection import Selection


class TrainingRunQuerySet(models.QuerySet["TrainingRun"]):
    def for_people(self) -> TrainingRunQuerySet:
        """Runs that lists show: no trials, no candidates, nothing deleted in MLflow."""
        return self.filter(role__in=(RunRole.TRAINING, RunRole.OTHER), deleted_in_mlflow=False)


class TrainingRun(models.Model):
    """One run. `mlflow_run_id` is null only while it is not yet written to MLflow."""

    # Most runs are others' and mirrored: none of these is known of them, see Meta.indexes.
    experiment = models.ForeignKey(
        Experiment,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="training_runs",
        db_index=False,
    )
    dataset = models.ForeignKey(
        Dataset,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="training_runs",
        db_index=False,
    )
    selection = models.ForeignKey(
        Selection,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="training_runs",
        db_index=False,
    )
    registry_entry = models.ForeignKey(
        "registry.RegistryEntry",
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
        db_index=False,
    )
    parent = models.ForeignKey(
        "self",
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="children",
        db_index=False,
    )
    run_name = models.CharField(max_length=500, blank=True)
    source = models.CharField(max_length=10, choices=RunSource.choices, default=RunSource.E2I)
    role = models.CharField(max_length=12, choices=RunRole.choices, default=RunRole.TRAINING)
    status = models.CharField(max_length=10, choices=RunStatus.choices, default=RunStatus.SCHEDULED)
    error_message = models.TextField(blank=True)

    mlflow_run_id = IdentifierField(max_length=64, null=True, blank=True)
    mlflow_experiment = models.ForeignKey(
        MlflowExperiment,
        to_field="mlflow_id",
        db_column="mlflow_experiment_id",
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="runs",
        db_index=False,
    )
    mlflow_available = models.BooleanField(
        default=False, help_text="Everything of this run has been written to MLflow."
    )
    deleted_in_mlflow = models.BooleanField(default=False)
    ended_in_mlflow = models.BooleanField(
        default=False, help_text="It had ended there when its row was last written."
    )
    journal_id = models.CharField(max_length=64, blank=True)
    user_name = models.CharField(max_length=200, blank=True, help_text="As MLflow has it.")
    params = models.JSONField(default=dict, help_text="As MLflow has them.")
    metrics = models.JSONField(default=dict, help_text="Latest values, as MLflow has them.")
    tags = models.JSONField(default=dict, help_text="As MLflow has them.")
    datasets = models.JSONField(
        default=list,
        help_text="[{name, digest, source_type, source, context}], as MLflow has them.",
    )
    model_outputs = models.JSONField(default=list, help_text="Ids of logged models, m-….")
    mirror_hash = models.CharField(
        max_length=32, blank=True, help_text="Of what MLflow said when the row was last written."
    )

    algorithm = models.CharField(max_length=60, blank=True)
    framework = models.CharField(max_length=40, blank=True)
    hyperparameters = models.JSONField(default=dict)
    feature_names = models.JSONField(default=list)
    training_samples = models.PositiveBigIntegerField(null=True, blank=True)
    validation_samples = models.PositiveBigIntegerField(null=True, blank=True)
    test_samples = models.PositiveBigIntegerField(null=True, blank=True)
    holdout_samples = models.PositiveBigIntegerField(null=True, blank=True)
    train_metrics = models.JSONField(default=dict)
    validation_metrics = models.JSONField(default=dict)
    test_metrics = models.JSONField(
        default=dict, help_text="{metric: value}; intervals are in `evaluation`."
    )
    evaluation = models.JSONField(
        default=dict,
        help_text="Threshold, confidence intervals, curves, confusion matrix, importance.",
    )
    primary_metric = models.CharField(max_length=40, blank=True)
    threshold = models.FloatField(null=True, blank=True)
    model_artifact_uri = models.TextField(blank=True)
    preprocessing_artifact_uri = models.TextField(blank=True)
    model_digest = models.CharField(max_length=64, blank=True)
    compute_type = models.CharField(max_length=40, blank=True)
    optuna_study_name = models.CharField(max_length=200, blank=True)
    optuna_trial_number = models.PositiveIntegerField(null=True, blank=True)
    is_best_trial = models.BooleanField(null=True, blank=True)
    request = models.JSONField(default=dict, help_text="What was asked: trials, timeout, strategy.")

    job = models.ForeignKey(
        Job,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
        db_index=False,
    )
    attempt = models.PositiveIntegerField(default=0)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        on_delete=models.SET_NULL,
        related_name="+",
        db_index=False,
    )
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True, blank=True)
    completed_at = models.DateTimeField(null=True, blank=True)
    duration_seconds = models.FloatField(null=True, blank=True)

    objects = TrainingRunQuerySet.as_manager()

    class Meta:
        db_table = "ml_training_runs"
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["mlflow_run_id"], name="run_mlflow_id_once"),
            models.CheckConstraint(
                condition=Q(status__in=RunStatus.values), name="run_status_is_legal"
            ),
            models.CheckConstraint(
                condition=Q(source__in=RunSource.values), name="run_source_is_legal"
            ),
            models.CheckConstraint(condition=Q(role__in=RunRole.values), name="run_role_is_legal"),
            models.CheckConstraint(
                condition=Q(mlflow_available=False) | Q(mlflow_run_id__isnull=False),
                name="run_available_has_mlflow_id",
            ),
            models.CheckConstraint(condition=~Q(mlflow_run_id=""), name="run_mlflow_id_not_empty"),
        ]
        indexes = [
            models.Index(fields=["role", "-started_at"], name="run_by_start"),
            models.Index(fields=["experiment", "-id"], name="run_by_experiment"),
            models.Index(fields=["status"], name="run_by_status"),
            models.Index(fields=["started_at", "id"], name="run_by_time"),
            # Each sync asks for these few rows.
            models.Index(
                fields=["mlflow_run_id"],
                name="run_not_mirrored",
                condition=Q(source=RunSource.E2I, mirror_hash=""),
            ),
            models.Index(
                fields=["mlflow_run_id"], name="run_deleted", condition=Q(deleted_in_mlflow=True)
            ),
            models.Index(Upper("user_name"), name="run_by_user"),
            models.Index(
                fields=["mlflow_experiment", "started_at", "id"], name="run_by_mlflow_time"
            ),
            *(
                models.Index(
                    fields=[name], name=f"run_by_{name}", condition=Q((f"{name}__isnull", False))
                )
                for name in (
                    "dataset",
                    "selection",
                    "registry_entry",
                    "parent",
                    "job",
                    "created_by",
                )
            ),
        ]

    def __str__(self) -> str:
        return self.run_name or f"Run {self.pk}"

    def get_absolute_url(self) -> str:
        return reverse("training:run", args=[self.pk])

    @property
    def trail_scope(self) -> str:
        return self.experiment.trail_scope if self.experiment else ""
