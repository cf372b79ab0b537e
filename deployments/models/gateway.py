"""What each gateway process says that it has loaded."""

from __future__ import annotations

from django.db import models


class GatewayInstance(models.Model):
    """A gateway process and its routes, written by itself every few seconds."""

    instance = models.CharField(max_length=100, primary_key=True)
    version = models.CharField(max_length=40, blank=True)
    routes = models.JSONField(
        default=dict, help_text="{endpoint: {active, shadow: {deployment, digest, loaded}}}"
    )
    problems = models.JSONField(default=list)
    started_at = models.DateTimeField()
    seen_at = models.DateTimeField()

    class Meta:
        db_table = "ml_gateway_instances"
        ordering = ["-seen_at"]

    def __str__(self) -> str:
        return self.instance
