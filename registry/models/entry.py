"""Registered models, their versions, and which stage each version was in when."""

from __future__ import annotations

from datetime import datetime

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import OuterRef, Q, Subquery
from django.urls import reverse

from registry.choices import Stage, StageCause
from training.models import Experiment, TrainingRun


class RegisteredModel(models.Model):
    """A named model in MLflow's registry."""

    name = models.CharField(max_length=256, unique=True)
    description = models.TextField(blank=True)
    experiment = models.ForeignKey(
        Experiment, null=True, blank=True, on_delete=models.PROTECT, related_name="models"
    )
    policy_name = models.CharField(
        max_length=60,
        blank=True,
        default="",
        help_text="Promotion policy chosen by an administrator; empty: by the model's name.",
    )
    aliases = models.JSONField(
        default=dict, help_text="{alias: version} as MLflow has them, governed or not."
    )
    tags = models.JSONField(default=dict, help_text="As MLflow has them.")
    deleted_in_mlflow = models.BooleanField(default=False)
    hidden_since = models.DateTimeField(
        null=True,
        blank=True,
        help_text="Since when MLflow has refused to show it to E2I's account.",
    )
    created_at = models.DateTimeField(auto_now_add=True)
    created_in_mlflow = models.DateTimeField(
        null=True, blank=True, help_text="Stays the same when a model is renamed."
    )
    updated_in_mlflow = models.DateTimeField(
        null=True, blank=True, help_text="When the model or a version last changed there."
    )
    synced_at = models.DateTimeField(
        null=True,
        blank=True,
        help_text="When MLflow was asked for what the row says.",
    )

    class Meta:
        db_table = "ml_registered_models"
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("registry:model", args=[self.name])

    @property
    def trail_scope(self) -> str:
        return f"model:{self.name}"


def _ratio(field: str) -> models.CheckConstraint:
    return models.CheckConstraint(
        condition=Q(**{f"{field}__isnull": True})
        | Q(**{f"{field}__gte": 0.0, f"{field}__lte": 1.0}),
        name=f"entry_{field}_range",
    )


_RATIO = [MinValueValidator(0.0), MaxValueValidator(1.0)]


class RegistryEntry(models.Model):
    """One version of a model. Its digest says which bytes every approval is about."""

    model = models.ForeignKey(
        RegisteredModel,
        to_field="name",
        db_column="model_name",
        on_delete=models.PROTECT,
        related_name="entries",
    )
    model_version = models.PositiveIntegerField()
    experiment = models.ForeignKey(
        Experiment, null=True, blank=True, on_delete=models.PROTECT, related_name="entries"
    )
    training_run = models.ForeignKey(
        TrainingRun, null=True, blank=True, on_delete=models.PROTECT, related_name="entries"
    )
    mlflow_run_id = models.CharField(max_length=64, blank=True)
    mlflow_model_uri = models.TextField(blank=True, help_text="Source of the version in MLflow.")
    artifact_digest = models.CharField(
        max_length=64, blank=True, help_text="SHA-256 over all files; empty until computed."
    )
    algorithm = models.CharField(max_length=60, blank=True)
    framework = models.CharField(max_length=40, blank=True)
    hyperparameters = models.JSONField(default=dict)
    feature_count = models.PositiveIntegerField(null=True, blank=True)
    training_samples = models.PositiveBigIntegerField(null=True, blank=True)
    auc = models.FloatField(null=True, blank=True, validators=_RATIO)
    pr_auc = models.FloatField(null=True, blank=True, validators=_RATIO)
    brier_score = models.FloatField(null=True, blank=True, validators=_RATIO)
    calibration_slope = models.FloatField(null=True, blank=True)
    signature = models.JSONField(default=dict, help_text="Inputs and outputs as in MLmodel.")
    selection_score = models.FloatField(null=True, blank=True)
    selection_rationale = models.JSONField(default=dict)
    stage = models.CharField(max_length=12, choices=Stage.choices, default=Stage.DEVELOPMENT)
    is_champion = models.BooleanField(default=False)
    preprocessing_pipeline_path = models.TextField(blank=True)
    description = models.TextField(blank=True)
    tags = models.JSONField(default=dict, help_text="As MLflow has them.")
    deleted_in_mlflow = models.BooleanField(default=False)
    past_gates = models.BooleanField(
        default=False, help_text="A promotion of it went past its gates. For ever."
    )
    trained_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
        help_text="Who asked for the training; may not approve.",
    )
    registered_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
        help_text="Who had it registered; empty for versions that came from MLflow.",
    )
    trained_at = models.DateTimeField(null=True, blank=True)
    registered_at = models.DateTimeField(null=True, blank=True)
    promoted_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    synced_at = models.DateTimeField(
        null=True, blank=True, help_text="When the mirror last wrote it; empty before it did."
    )

    class Meta:
        db_table = "ml_model_registry"
        ordering = ["model", "-model_version"]
        verbose_name_plural = "registry entries"
        constraints = [
            models.UniqueConstraint(fields=["model", "model_version"], name="entry_model_version"),
            models.UniqueConstraint(
                fields=["model"],
                condition=Q(stage=Stage.PRODUCTION),
                name="entry_one_production_a_model",
            ),
            models.UniqueConstraint(
                fields=["model"],
                condition=Q(stage=Stage.SHADOW),
                name="entry_one_shadow_a_model",
            ),
            models.CheckConstraint(
                condition=Q(stage__in=Stage.values), name="entry_stage_is_legal"
            ),
            models.CheckConstraint(
                condition=Q(model_version__gte=1), name="entry_version_is_positive"
            ),
            _ratio("auc"),
            _ratio("pr_auc"),
            _ratio("brier_score"),
        ]
        # Models with a version in a stage: answered by the index alone.
        indexes = [models.Index(fields=["stage", "model"], name="entry_by_stage_and_model")]

    def __str__(self) -> str:
        return f"{self.model_id} v{self.model_version}"

    def get_absolute_url(self) -> str:
        return reverse("registry:version", args=[self.model_id, self.model_version])

    @property
    def trail_scope(self) -> str:
        return f"model:{self.model_id}"


class StageChangeQuerySet(models.QuerySet["StageChange"]):
    def as_of(self, moment: datetime) -> StageChangeQuerySet:
        """For every version its last change at or before `moment`: where it was then.

        Of two at the same instant the later row counts. A version registered later has none.
        """
        last = StageChange.objects.filter(entry=OuterRef("entry"), at__lte=moment)
        newest = last.order_by("-at", "-id").values("pk")[:1]
        return self.filter(at__lte=moment, pk=Subquery(newest))


class StageChange(models.Model):
    """A version entered a stage. Append-only: it answers what was where at any moment."""

    entry = models.ForeignKey(RegistryEntry, on_delete=models.PROTECT, related_name="stage_changes")
    from_stage = models.CharField(max_length=12, choices=Stage.choices, blank=True)
    to_stage = models.CharField(max_length=12, choices=Stage.choices)
    cause = models.CharField(max_length=12, choices=StageCause.choices)
    promotion = models.ForeignKey(
        "registry.Promotion",
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="stage_changes",
    )
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    reason = models.TextField(blank=True)
    at = models.DateTimeField()

    objects = StageChangeQuerySet.as_manager()

    class Meta:
        db_table = "ml_stage_changes"
        ordering = ["-at", "-id"]
        indexes = [models.Index(fields=["entry", "-at"], name="stage_change_by_entry")]

    def __str__(self) -> str:
        return f"{self.entry}: {self.from_stage or '–'} → {self.to_stage}"
