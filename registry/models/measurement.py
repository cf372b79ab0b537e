"""What was measured of a version's bytes, outside any review, and kept."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from registry.choices import MeasurementState
from registry.models.entry import RegistryEntry


class VersionMeasurement(models.Model):
    """One kind of measurement of one version, valid for exactly these bytes.

    `key` is the SHA-256 of kind, bytes, the other version's bytes and specification: the same
    question is answered once, and asked again only when its answer has grown old.
    """

    entry = models.ForeignKey(RegistryEntry, on_delete=models.PROTECT, related_name="measurements")
    key = models.CharField(max_length=64)
    kind = models.CharField(max_length=40)
    artifact_digest = models.CharField(max_length=64)
    against = models.ForeignKey(
        RegistryEntry,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
        help_text="The version it was compared with, or whose bytes it is about.",
    )
    specification = models.JSONField(default=dict)
    state = models.CharField(max_length=12, choices=MeasurementState.choices)
    problem = models.TextField(blank=True, help_text="Why there is no result.")
    result = models.JSONField(default=dict)
    sample_size = models.PositiveBigIntegerField(null=True, blank=True)
    interval = models.JSONField(null=True, blank=True, help_text='{"low", "high", "level"}')
    inputs = models.JSONField(default=dict, help_text="Digests and sizes of what went in.")
    seconds = models.FloatField()
    measured_at = models.DateTimeField()

    class Meta:
        db_table = "ml_version_measurements"
        ordering = ["entry", "kind", "id"]
        constraints = [
            models.UniqueConstraint(fields=["entry", "key"], name="measurement_once_a_question"),
            models.CheckConstraint(
                condition=Q(state__in=MeasurementState.values), name="measurement_state_is_legal"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} of {self.entry_id}: {self.state}"


class TestPredictions(models.Model):
    """A model's answers on the test rows of a data set: what comparisons are computed from."""

    __test__ = False  # not a test, whatever its name

    artifact_digest = models.CharField(max_length=64)
    dataset_digest = models.CharField(max_length=64)
    rows_digest = models.CharField(max_length=64, help_text="SHA-256 of the test row numbers.")
    rows = models.PositiveBigIntegerField()
    columns = models.PositiveIntegerField(help_text="1, or one a class.")
    values = models.BinaryField(help_text="Little-endian doubles, row by row, zlib.")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        db_table = "ml_test_predictions"
        verbose_name_plural = "test predictions"
        constraints = [
            models.UniqueConstraint(
                fields=["artifact_digest", "dataset_digest", "rows_digest"],
                name="predictions_once_a_model_and_rows",
            )
        ]

    def __str__(self) -> str:
        return f"{self.rows} answers of {self.artifact_digest[:12]}"
