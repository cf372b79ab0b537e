"""What the gateway measured, a row a deployment and minute."""

from __future__ import annotations

from django.db import models

from deployments.models.deployment import Deployment


class TrafficMinute(models.Model):
    """Counts of one minute. Bounded storage whatever the traffic.

    `latency` is a mergeable histogram {bucket: count}; see deployments/shadow/histogram.py.
    `slow` counts requests over the frozen p99 limit of the shadow window, if there is one.
    """

    deployment = models.ForeignKey(
        Deployment, on_delete=models.PROTECT, related_name="traffic_minutes"
    )
    minute = models.DateTimeField()
    requests = models.PositiveBigIntegerField(default=0)
    errors = models.PositiveBigIntegerField(default=0, help_text="The model's or the server's.")
    rejected = models.PositiveBigIntegerField(default=0, help_text="Bad requests, not counted.")
    slow = models.PositiveBigIntegerField(default=0)
    dropped = models.PositiveBigIntegerField(
        default=0, help_text="Not mirrored because the queue was full."
    )
    latency = models.JSONField(default=dict)
    compared = models.PositiveBigIntegerField(
        default=0, help_text="Requests that the champion answered too."
    )
    disagreements = models.PositiveBigIntegerField(default=0)
    champion_errors = models.PositiveBigIntegerField(default=0)
    difference_sum = models.FloatField(
        default=0.0, help_text="Sum of absolute differences of the predictions."
    )
    difference_max = models.FloatField(default=0.0)

    class Meta:
        db_table = "ml_traffic_minutes"
        ordering = ["deployment", "minute"]
        constraints = [
            models.UniqueConstraint(
                fields=["deployment", "minute"], name="traffic_minute_once_a_deployment"
            ),
            models.CheckConstraint(
                condition=models.Q(
                    errors__lte=models.F("requests"), slow__lte=models.F("requests")
                ),
                name="traffic_hits_within_requests",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.deployment} {self.minute:%Y-%m-%d %H:%M}"
