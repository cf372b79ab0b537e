"""What else is mirrored from MLflow: single metrics and names, to search by, and models."""

from __future__ import annotations

from django.db import models

from e2i_site.core.fields import KeyField
from training.models.experiment import MlflowExperiment
from training.models.run import TrainingRun


class RunMetric(models.Model):
    """One entry of `TrainingRun.metrics`, as an index to filter and to order by.

    Infinite values are in it; NaN, which has no order, is only in the JSON. Written together with
    the JSON and never without, so the database need not check each row's run again.
    """

    pk = models.CompositePrimaryKey("run", "key")
    run = models.ForeignKey(
        TrainingRun,
        on_delete=models.CASCADE,
        related_name="metric_rows",
        db_constraint=False,
        db_index=False,
    )
    key = KeyField()
    value = models.FloatField()

    class Meta:
        db_table = "ml_run_metrics"
        indexes = [
            # Runs with a metric in a range, or ordered by it, the best first.
            models.Index(fields=["key", "value", "run"], name="run_metric_by_value"),
        ]

    def __str__(self) -> str:
        return f"{self.key} = {self.value}"


class SearchName(models.Model):
    """A metric, parameter or tag that some run has or had, to complete what people type."""

    pk = models.CompositePrimaryKey("kind", "name")
    kind = models.CharField(
        max_length=10, choices=[(kind, kind) for kind in ("metric", "param", "tag")]
    )
    name = models.TextField()

    class Meta:
        db_table = "ml_search_names"

    def __str__(self) -> str:
        return f"{self.kind}.{self.name}"


class LoggedModel(models.Model):
    """A model that a run made, `models:/m-…`, as MLflow has it. `source_run_id` is MLflow's."""

    model_id = models.CharField(max_length=64, primary_key=True)
    mlflow_experiment = models.ForeignKey(
        MlflowExperiment,
        to_field="mlflow_id",
        db_column="mlflow_experiment_id",
        on_delete=models.PROTECT,
        related_name="logged_models",
    )
    name = models.CharField(max_length=500, blank=True)
    status = models.CharField(max_length=40, blank=True)
    model_type = models.CharField(max_length=500, blank=True)
    source_run_id = models.CharField(max_length=64, blank=True, db_index=True)
    artifact_uri = models.TextField(blank=True)
    params = models.JSONField(default=dict)
    tags = models.JSONField(default=dict)
    created_at = models.DateTimeField(null=True, blank=True)
    updated_at = models.DateTimeField(null=True, blank=True)
    deleted_in_mlflow = models.BooleanField(default=False)
    mirror_hash = models.CharField(max_length=32, blank=True)

    class Meta:
        db_table = "ml_logged_models"
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return self.name or self.model_id

    @property
    def uri(self) -> str:
        return f"models:/{self.model_id}"
