"""What others changed in MLflow, and what its webhooks told."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.db.models import Q

from e2i_site.activity.choices import EventKind, EventSource, SubjectKind


class EventQuerySet(models.QuerySet["MlflowEvent"]):
    def about_model(self, name: str) -> EventQuerySet:
        """Events of a model and its versions, and the renaming that gave it its name."""
        became = Q(subject_kind=SubjectKind.MODEL, kind=EventKind.RENAMED, key=name)
        return self.filter(Q(model_name=name) | became)

    def about_run(self, run_id: str) -> EventQuerySet:
        """Events of a run, by MLflow's id."""
        return self.filter(subject_kind=SubjectKind.RUN, subject_id=run_id)


class MlflowEvent(models.Model):
    """One change in MLflow that E2I did not make, written together with the row it changed.

    Subjects are kept as text: an event outlives the row it speaks of. MLflow tells neither who
    moved an alias nor when, unless a webhook did; what it does not tell stays empty.
    """

    kind = models.CharField(max_length=20, choices=EventKind.choices)
    subject_kind = models.CharField(max_length=10, choices=SubjectKind.choices)
    subject_id = models.CharField(
        max_length=300, help_text="Name of a model, name/number of a version, MLflow's id else."
    )
    label = models.CharField(max_length=520, help_text="What the subject was called then.")
    model_name = models.CharField(max_length=256, blank=True, help_text="Of a model or version.")
    key = models.CharField(max_length=520, blank=True, help_text="Name of the alias, tag, metric …")
    before = models.JSONField(null=True)
    after = models.JSONField(null=True)
    noticed_at = models.DateTimeField()
    happened_at = models.DateTimeField(null=True, blank=True, help_text="Where MLflow tells.")
    user = models.CharField(max_length=256, blank=True, help_text="Where MLflow tells.")
    source = models.CharField(max_length=10, choices=EventSource.choices, default=EventSource.SYNC)

    objects = EventQuerySet.as_manager()

    class Meta:
        db_table = "ml_mlflow_events"
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(kind__in=EventKind.values), name="mlflow_event_kind_is_legal"
            ),
            models.CheckConstraint(
                condition=Q(subject_kind__in=SubjectKind.values),
                name="mlflow_event_subject_is_legal",
            ),
        ]
        indexes = [
            models.Index(fields=["model_name", "-id"], name="mlflow_event_by_model"),
            models.Index(fields=["subject_kind", "subject_id", "-id"], name="mlflow_event_subject"),
            models.Index(fields=["kind", "-id"], name="mlflow_event_by_kind"),
            models.Index(fields=["noticed_at"], name="mlflow_event_by_time"),
        ]

    def __str__(self) -> str:
        return f"{self.label}: {self.get_kind_display()} {self.key}".rstrip()

    @property
    def before_words(self) -> str | None:
        """`before` for people; None where there was nothing."""
        return _words(self.before)

    @property
    def after_words(self) -> str | None:
        return _words(self.after)


def _words(value: Any) -> str | None:
    if isinstance(value, dict):
        return ", ".join(f"{name}: {part}" for name, part in value.items() if part)
    return None if value is None else str(value)


class WebhookDelivery(models.Model):
    """The inbox: one verified delivery. Its id is MLflow's, so that a repeated one is known."""

    delivery_id = models.CharField(max_length=64, primary_key=True)
    entity = models.CharField(max_length=40)
    action = models.CharField(max_length=20)
    model_name = models.CharField(max_length=256, blank=True)
    data = models.JSONField(default=dict)
    sent_at = models.DateTimeField(help_text="When it happened, by MLflow's clock.")
    received_at = models.DateTimeField()
    applied_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "ml_mlflow_deliveries"
        ordering = ["-received_at"]
        verbose_name_plural = "webhook deliveries"
        indexes = [
            models.Index(
                fields=["model_name"],
                condition=Q(applied_at=None),
                name="mlflow_delivery_unapplied",
            ),
            models.Index(fields=["received_at"], name="mlflow_delivery_by_time"),
        ]

    def __str__(self) -> str:
        return f"{self.entity}.{self.action} {self.model_name}"


class WebhookState(models.Model):
    """One row: is the webhook registered, does it arrive, and what stands in its way."""

    id = models.SmallIntegerField(primary_key=True, default=1)
    url = models.CharField(max_length=500, blank=True)
    webhook_id = models.CharField(max_length=64, blank=True, help_text="MLflow's; empty: none.")
    secret_mark = models.CharField(
        max_length=64, blank=True, help_text="Tells whether the secret changed; not the secret."
    )
    account = models.CharField(
        max_length=256, blank=True, help_text="Ours at an MLflow that has accounts."
    )
    sees_everything = models.BooleanField(
        null=True, help_text="False: MLflow shows our account only what it may read."
    )
    removed_at = models.DateTimeField(
        null=True, blank=True, help_text="Taken out of MLflow on request; stays out till asked."
    )
    problem = models.TextField(blank=True, help_text="Why it is not registered or does not work.")
    checked_at = models.DateTimeField(null=True, blank=True)
    tested_at = models.DateTimeField(null=True, blank=True)
    test_passed = models.BooleanField(null=True)
    test_detail = models.TextField(blank=True)
    verified = models.PositiveBigIntegerField(default=0)
    repeated = models.PositiveBigIntegerField(default=0)
    rejected = models.PositiveBigIntegerField(default=0)
    verified_at = models.DateTimeField(null=True, blank=True)
    rejected_at = models.DateTimeField(null=True, blank=True)
    rejected_reason = models.CharField(max_length=200, blank=True)

    class Meta:
        db_table = "ml_mlflow_webhook"
        constraints = [models.CheckConstraint(condition=Q(id=1), name="mlflow_one_webhook")]

    def __str__(self) -> str:
        return self.url or "no webhook"

    @property
    def works(self) -> bool:
        """Registered, and the last test arrived."""
        return bool(self.webhook_id and not self.problem and self.test_passed)
