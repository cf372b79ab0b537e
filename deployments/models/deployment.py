"""Deployments: a version that serves, or shadows, behind an endpoint."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.urls import reverse

from deployments.choices import LIVE, DeploymentStatus, Environment, Strategy
from registry.models import Promotion, RegistryEntry


class DeploymentQuerySet(models.QuerySet["Deployment"]):
    def live(self) -> DeploymentQuerySet:
        """What the gateway has to keep loaded."""
        return self.filter(status__in=LIVE)

    def serving(self) -> DeploymentQuerySet:
        """Deployments that answer callers."""
        return self.filter(status=DeploymentStatus.ACTIVE).exclude(strategy=Strategy.SHADOW)

    def shadowing(self) -> DeploymentQuerySet:
        return self.filter(status=DeploymentStatus.ACTIVE, strategy=Strategy.SHADOW)


class Deployment(models.Model):
    entry = models.ForeignKey(RegistryEntry, on_delete=models.PROTECT, related_name="deployments")
    promotion = models.ForeignKey(
        Promotion, null=True, blank=True, on_delete=models.PROTECT, related_name="deployments"
    )
    deployment_name = models.CharField(max_length=300)
    environment = models.CharField(max_length=12, choices=Environment.choices)
    endpoint_name = models.SlugField(max_length=256)
    endpoint_url = models.URLField(max_length=500)
    status = models.CharField(
        max_length=12, choices=DeploymentStatus.choices, default=DeploymentStatus.PENDING
    )
    status_reason = models.TextField(blank=True, help_text="What it waits for, or why it failed.")
    strategy = models.CharField(max_length=12, choices=Strategy.choices)
    canary_share = models.PositiveSmallIntegerField(
        default=0, help_text="Percent of the callers that it answers beside the active one."
    )
    artifact_digest = models.CharField(max_length=64, help_text="Of the bytes it serves.")
    deployed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    deployment_config = models.JSONField(default=dict)
    shadow_metrics = models.JSONField(default=dict, help_text="Measured by the gateway.")
    production_metrics = models.JSONField(default=dict, help_text="Measured by the gateway.")
    latency_p50_ms = models.FloatField(null=True, blank=True)
    latency_p95_ms = models.FloatField(null=True, blank=True)
    latency_p99_ms = models.FloatField(null=True, blank=True)
    error_rate = models.FloatField(null=True, blank=True)
    request_count = models.PositiveBigIntegerField(default=0)
    measured_at = models.DateTimeField(null=True, blank=True)
    health_failures = models.PositiveIntegerField(default=0, help_text="In a row.")
    health_checked_at = models.DateTimeField(null=True, blank=True)
    health_detail = models.TextField(blank=True)
    previous_deployment = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.PROTECT, related_name="successors"
    )
    rollback_available = models.BooleanField(
        default=False, help_text="The previous deployment exists and its bytes verify."
    )
    rollback_checked_at = models.DateTimeField(null=True, blank=True)
    rollback_detail = models.TextField(blank=True)
    rollback_reason = models.TextField(blank=True)
    rolled_back_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    deployed_at = models.DateTimeField(null=True, blank=True)
    deactivated_at = models.DateTimeField(null=True, blank=True)

    objects = DeploymentQuerySet.as_manager()

    class Meta:
        db_table = "ml_deployments"
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["endpoint_name", "environment"],
                condition=Q(status=DeploymentStatus.ACTIVE) & ~Q(strategy=Strategy.SHADOW),
                name="deployment_one_active_an_endpoint",
            ),
            models.UniqueConstraint(
                fields=["endpoint_name", "environment"],
                condition=Q(status=DeploymentStatus.ACTIVE, strategy=Strategy.SHADOW),
                name="deployment_one_shadow_an_endpoint",
            ),
            models.UniqueConstraint(
                fields=["endpoint_name", "environment"],
                condition=Q(canary_share__gt=0),
                name="deployment_one_canary_an_endpoint",
            ),
            models.CheckConstraint(
                condition=Q(canary_share=0)
                | Q(
                    canary_share__lt=100,
                    status=DeploymentStatus.DEPLOYING,
                    strategy=Strategy.CANARY,
                ),
                name="deployment_canary_share_is_legal",
            ),
            models.CheckConstraint(
                condition=Q(status__in=DeploymentStatus.values),
                name="deployment_status_is_legal",
            ),
            models.CheckConstraint(
                condition=Q(strategy__in=Strategy.values), name="deployment_strategy_is_legal"
            ),
            models.CheckConstraint(
                condition=Q(environment__in=Environment.values),
                name="deployment_environment_is_legal",
            ),
            models.CheckConstraint(
                condition=~Q(environment=Environment.PRODUCTION, strategy=Strategy.DIRECT),
                name="deployment_production_never_direct",
            ),
            models.CheckConstraint(
                condition=Q(error_rate__isnull=True) | Q(error_rate__gte=0, error_rate__lte=1),
                name="deployment_error_rate_range",
            ),
        ]
        indexes = [
            models.Index(
                fields=["endpoint_name"], condition=Q(status__in=LIVE), name="deployment_live"
            ),
            models.Index(fields=["entry", "-id"], name="deployment_by_entry"),
        ]

    def __str__(self) -> str:
        return self.deployment_name

    def get_absolute_url(self) -> str:
        return reverse("deployments:deployment", args=[self.pk])

    @property
    def trail_scope(self) -> str:
        return self.entry.trail_scope

    @property
    def is_shadow(self) -> bool:
        return self.strategy == Strategy.SHADOW
