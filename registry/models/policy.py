"""Promotion policies: what a version must show, and whose approval it needs."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.urls import reverse


class PolicyQuerySet(models.QuerySet["PromotionPolicy"]):
    def newest(self, name: str) -> PromotionPolicy | None:
        """The newest version of the policy `name`."""
        return self.filter(name=name).order_by("-version").first()


class PromotionPolicy(models.Model):
    """One immutable version of a policy; the database refuses to change or delete it.

    `stages` maps a target stage to its rules; registry/document/schema.py says which keys there
    are. `model_patterns` are globs of the models it claims.
    """

    name = models.SlugField(max_length=60)
    version = models.PositiveIntegerField()
    description = models.TextField(blank=True)
    notice = models.CharField(
        max_length=200, blank=True, help_text="Shown wherever the policy counts."
    )
    model_patterns = models.JSONField(
        default=list, blank=True, help_text="Glob patterns of the models it claims."
    )
    stages = models.JSONField()
    source = models.TextField(blank=True, help_text="The document as it was written.")
    reason = models.TextField(blank=True, help_text="Why it was published.")
    published_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+"
    )
    published_at = models.DateTimeField(auto_now_add=True)

    objects = PolicyQuerySet.as_manager()

    class Meta:
        db_table = "ml_promotion_policies"
        ordering = ["name", "-version"]
        verbose_name_plural = "promotion policies"
        constraints = [
            models.UniqueConstraint(fields=["name", "version"], name="policy_name_version"),
            models.CheckConstraint(condition=Q(version__gte=1), name="policy_version_positive"),
        ]

    def __str__(self) -> str:
        return f"{self.name} v{self.version}"

    def get_absolute_url(self) -> str:
        return reverse("registry:policy", args=[self.name, self.version])

    @property
    def content(self) -> dict[str, Any]:
        """What it says: another content is another version."""
        return {
            "description": self.description,
            "notice": self.notice,
            "model_patterns": self.model_patterns,
            "stages": self.stages,
        }

    def for_stage(self, stage: str) -> dict[str, Any] | None:
        """The rules for promotions to `stage`; None when the policy says nothing about it."""
        rules: dict[str, Any] | None = self.stages.get(stage)
        return rules
