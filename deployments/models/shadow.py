"""Shadow windows: the time in which a version proves itself on real traffic."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from deployments.choices import VerdictState, WindowState
from deployments.models.deployment import Deployment
from registry.choices import Stage
from registry.models import PromotionPolicy, RegistryEntry


class ShadowWindowQuerySet(models.QuerySet["ShadowWindow"]):
    def of_present_stay(self, entry: RegistryEntry) -> ShadowWindowQuerySet:
        """Windows of its present or last stay in shadow, the newest first, void ones too.

        What was measured before a version was archived and restored says nothing of it now.
        """
        windows = self.filter(entry=entry).order_by("-opened_at", "-pk")
        entered = entry.stage_changes.filter(to_stage=Stage.SHADOW).first()
        return windows.filter(opened_at__gte=entered.at) if entered else windows


class ShadowWindow(models.Model):
    """Evidence for one version with one digest, judged by limits frozen at the start."""

    deployment = models.OneToOneField(
        Deployment, on_delete=models.PROTECT, related_name="shadow_window"
    )
    entry = models.ForeignKey(
        RegistryEntry, on_delete=models.PROTECT, related_name="shadow_windows"
    )
    artifact_digest = models.CharField(max_length=64)
    policy = models.ForeignKey(PromotionPolicy, on_delete=models.PROTECT, related_name="+")
    limits = models.JSONField(
        help_text="Frozen: hours, requests, error_rate, p99_ms, alpha, sequential."
    )
    state = models.CharField(max_length=8, choices=WindowState.choices, default=WindowState.OPEN)
    state_reason = models.CharField(max_length=300, blank=True)
    verdict = models.CharField(
        max_length=12, choices=VerdictState.choices, default=VerdictState.INCONCLUSIVE
    )
    verdict_detail = models.JSONField(default=dict)
    opened_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True, blank=True)
    evaluated_at = models.DateTimeField(null=True, blank=True)

    objects = ShadowWindowQuerySet.as_manager()

    class Meta:
        db_table = "ml_shadow_windows"
        ordering = ["-opened_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["entry"],
                condition=Q(state=WindowState.OPEN),
                name="window_one_open_an_entry",
            ),
            models.CheckConstraint(
                condition=Q(state__in=WindowState.values), name="window_state_is_legal"
            ),
            models.CheckConstraint(
                condition=Q(verdict__in=VerdictState.values), name="window_verdict_is_legal"
            ),
        ]

    def __str__(self) -> str:
        return f"Shadow window of {self.entry}"

    @property
    def trail_scope(self) -> str:
        return self.entry.trail_scope


class ShadowLook(models.Model):
    """One look at the evidence that changed the verdict or served a decision."""

    window = models.ForeignKey(ShadowWindow, on_delete=models.PROTECT, related_name="looks")
    at = models.DateTimeField()
    requests = models.PositiveBigIntegerField()
    verdict = models.CharField(max_length=12, choices=VerdictState.choices)
    detail = models.JSONField(default=dict)

    class Meta:
        db_table = "ml_shadow_looks"
        ordering = ["-at"]

    def __str__(self) -> str:
        return f"{self.window}: {self.verdict}"
