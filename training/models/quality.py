"""What the QC gate measured, and how the rows were split."""

from __future__ import annotations

from django.db import models

from training.choices import SplitStrategy
from training.models.run import TrainingRun


class DataQualityReport(models.Model):
    """Result of the QC gate of one training run, computed from the data itself."""

    training_run = models.OneToOneField(
        TrainingRun, on_delete=models.PROTECT, related_name="data_quality"
    )
    score = models.FloatField(null=True, help_text="0 to 1; null when nothing could be measured.")
    dimensions = models.JSONField(
        default=dict, help_text="Completeness, validity, …: {score, weight, detail}."
    )
    blocking = models.JSONField(default=list, help_text="Reasons why training was refused.")
    warnings = models.JSONField(default=list)
    passed = models.BooleanField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        db_table = "ml_data_quality_reports"

    def __str__(self) -> str:
        return f"Data quality of {self.training_run}"


class SplitDefinition(models.Model):
    """How the rows of one training run were split; enough to make the same split again."""

    training_run = models.OneToOneField(TrainingRun, on_delete=models.PROTECT, related_name="split")
    strategy = models.CharField(max_length=14, choices=SplitStrategy.choices)
    seed = models.IntegerField()
    group_columns = models.JSONField(default=list)
    sizes = models.JSONField(default=dict, help_text="Rows in train, validation, test, holdout.")
    digests = models.JSONField(default=dict, help_text="SHA-256 of each split's row numbers.")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        db_table = "ml_split_definitions"

    def __str__(self) -> str:
        return f"Split of {self.training_run}"
