"""Canaries: a version's way to all callers, by a share of them that grows."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from deployments.choices import CanaryState
from deployments.models.deployment import Deployment


class Canary(models.Model):
    """How far the way has come, by limits frozen at its start.

    The gateway goes by `Deployment.canary_share`, which is 0 again once this has ended.
    """

    deployment = models.OneToOneField(Deployment, on_delete=models.PROTECT, related_name="canary")
    limits = models.JSONField(
        help_text="Frozen: steps in percent, and minutes and requests of each."
    )
    state = models.CharField(max_length=8, choices=CanaryState.choices, default=CanaryState.RUNNING)
    pause_reason = models.CharField(max_length=500, blank=True)
    step = models.PositiveSmallIntegerField(default=0, help_text="Which of the steps, from 0.")
    step_began_at = models.DateTimeField()
    requests_before = models.PositiveBigIntegerField(
        default=0, help_text="That it had answered when the step began."
    )
    errors_before = models.PositiveBigIntegerField(default=0)
    measured = models.JSONField(
        default=list,
        help_text="Of each step that ended: [{share, began, ended, requests, errors, p99_ms}].",
    )
    began_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "ml_canaries"
        verbose_name_plural = "canaries"
        ordering = ["-began_at"]
        constraints = [
            models.CheckConstraint(
                condition=Q(state__in=CanaryState.values), name="canary_state_is_legal"
            ),
        ]

    def __str__(self) -> str:
        return f"Canary of {self.deployment}"

    @property
    def trail_scope(self) -> str:
        return self.deployment.trail_scope

    @property
    def is_under_way(self) -> bool:
        return self.state in (CanaryState.RUNNING, CanaryState.PAUSED)
