"""When MLflow was last mirrored."""

from __future__ import annotations

from django.db import models


class SyncState(models.Model):
    """One row a source. Pages read it to say how old what they show is."""

    source = models.CharField(max_length=40, primary_key=True, default="mlflow")
    mode = models.CharField(max_length=12, blank=True)
    started_at = models.DateTimeField(null=True, blank=True)
    succeeded_at = models.DateTimeField(null=True, blank=True)
    failed_at = models.DateTimeField(null=True, blank=True)
    error = models.TextField(blank=True, help_text="Of the last attempt; empty when it succeeded.")
    counts = models.JSONField(default=dict)
    progress = models.JSONField(
        default=dict,
        help_text="While one is under way: {phase, done, total, seconds_to_go}; total 0: unknown.",
    )
    cursor = models.JSONField(default=dict)
    server_version = models.CharField(max_length=40, blank=True)
    lease_token = models.UUIDField(null=True, blank=True)
    lease_expires_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "ml_sync_state"

    def __str__(self) -> str:
        return self.source
