"""Nodes: each step of a pipeline, when it ran and how it ended."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from training.choices import NodeOutcome
from training.models.run import TrainingRun
from training.models.selection import Selection


class PipelineNode(models.Model):
    """One execution of one node. A job that is taken up again writes new rows: attempt 2."""

    training_run = models.ForeignKey(
        TrainingRun, null=True, blank=True, on_delete=models.PROTECT, related_name="nodes"
    )
    selection = models.ForeignKey(
        Selection, null=True, blank=True, on_delete=models.PROTECT, related_name="nodes"
    )
    attempt = models.PositiveIntegerField(default=1)
    position = models.PositiveIntegerField(help_text="Order of starting, from 1.")
    name = models.CharField(max_length=60)
    outcome = models.CharField(
        max_length=12, choices=NodeOutcome.choices, default=NodeOutcome.RUNNING
    )
    detail = models.JSONField(default=dict)
    done = models.PositiveIntegerField(default=0)
    total = models.PositiveIntegerField(default=0)
    error = models.TextField(blank=True)
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "ml_pipeline_nodes"
        ordering = ["attempt", "position"]
        constraints = [
            models.CheckConstraint(
                condition=Q(training_run__isnull=False, selection__isnull=True)
                | Q(training_run__isnull=True, selection__isnull=False),
                name="node_has_one_owner",
            ),
            models.UniqueConstraint(
                fields=["training_run", "attempt", "position"], name="node_position_a_run"
            ),
            models.UniqueConstraint(
                fields=["selection", "attempt", "position"], name="node_position_a_selection"
            ),
            models.CheckConstraint(
                condition=Q(outcome__in=NodeOutcome.values), name="node_outcome_is_legal"
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def seconds(self) -> float | None:
        """Duration; None while it runs."""
        return (self.ended_at - self.started_at).total_seconds() if self.ended_at else None
