"""Data sets: what a model was trained on, bound to its bytes."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from training.choices import DatasetKind, ProblemType


class Dataset(models.Model):
    """One immutable data set. Other bytes are another data set, with another digest."""

    name = models.SlugField(max_length=100)
    description = models.TextField(blank=True)
    kind = models.CharField(max_length=10, choices=DatasetKind.choices)
    location = models.CharField(
        max_length=500, help_text="File below the data directory, or the loader's name."
    )
    digest = models.CharField(max_length=64, help_text="SHA-256 of the loaded content.")
    target = models.CharField(max_length=200)
    problem_type = models.CharField(max_length=12, choices=ProblemType.choices)
    columns = models.JSONField(
        default=list, help_text='[{"name": …, "dtype": …}], target included.'
    )
    group_columns = models.JSONField(
        default=list, help_text="Rows equal in these stay in one split; empty for none."
    )
    time_column = models.CharField(max_length=200, blank=True)
    row_count = models.PositiveBigIntegerField()
    provenance = models.TextField(blank=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        db_table = "ml_datasets"
        ordering = ["name", "-id"]
        constraints = [
            models.UniqueConstraint(fields=["name", "digest"], name="dataset_name_digest"),
            models.CheckConstraint(
                condition=models.Q(problem_type__in=ProblemType.values),
                name="dataset_problem_is_legal",
            ),
        ]

    def __str__(self) -> str:
        return self.name
