"""Job rows: the outbox, and what people see of background work."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Exists, OuterRef, Q


class JobState(models.TextChoices):
    QUEUED = "queued", "Queued"
    RUNNING = "running", "Running"
    WAITING = "waiting", "Waiting"
    SUCCEEDED = "succeeded", "Done"
    FAILED = "failed", "Failed"
    CANCELLED = "cancelled", "Cancelled"


UNFINISHED = (JobState.QUEUED, JobState.RUNNING, JobState.WAITING)
CLAIMABLE = (JobState.QUEUED, JobState.WAITING)


class JobQuerySet(models.QuerySet["Job"]):
    def unfinished(self) -> JobQuerySet:
        return self.filter(state__in=UNFINISHED)

    def due(self, now: datetime) -> JobQuerySet:
        """Jobs that may be claimed now; an ordered one only when it is its subject's oldest."""
        older = Job.objects.filter(
            subject=OuterRef("subject"),
            ordered=True,
            state__in=UNFINISHED,
            pk__lt=OuterRef("pk"),
        )
        return self.filter(
            Q(ordered=False) | ~Exists(older), state__in=CLAIMABLE, run_after__lte=now
        )

    def for_subject(self, subject: str) -> JobQuerySet:
        return self.filter(subject=subject)


class Job(models.Model):
    """One piece of background work. The row is the truth; a broker message only wakes a worker."""

    kind = models.CharField(max_length=80)
    # "model:" and more before a name, which MLflow lets have 256 characters
    subject = models.CharField(max_length=300, blank=True)
    key = models.CharField(
        max_length=200, blank=True, help_text="At most one unfinished job a key; empty for any."
    )
    ordered = models.BooleanField(default=False)
    payload = models.JSONField(default=dict)
    state = models.CharField(max_length=10, choices=JobState.choices, default=JobState.QUEUED)
    attempt = models.PositiveIntegerField(default=0)
    max_attempts = models.PositiveIntegerField(default=3)
    run_after = models.DateTimeField()
    woken_at = models.DateTimeField(null=True, blank=True)
    lease_token = models.UUIDField(null=True, blank=True)
    lease_expires_at = models.DateTimeField(null=True, blank=True)
    cancel_requested = models.BooleanField(default=False)
    phase = models.CharField(max_length=120, blank=True)
    done = models.PositiveBigIntegerField(default=0)
    total = models.PositiveBigIntegerField(default=0)
    log = models.TextField(blank=True)
    result = models.JSONField(default=dict, blank=True)
    message = models.TextField(
        blank=True, help_text="Why it waits, failed or was cancelled, for people."
    )
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
    )
    request_id = models.UUIDField(help_text="Of the act that asked for it; see the trail.")
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    objects = JobQuerySet.as_manager()

    class Meta:
        db_table = "job"
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["key"],
                condition=Q(state__in=UNFINISHED) & ~Q(key=""),
                name="job_one_unfinished_a_key",
            ),
            models.CheckConstraint(
                condition=Q(state__in=JobState.values), name="job_state_is_legal"
            ),
            models.CheckConstraint(
                condition=~Q(state=JobState.RUNNING)
                | Q(lease_token__isnull=False, lease_expires_at__isnull=False),
                name="job_running_has_lease",
            ),
        ]
        indexes = [
            # JobQuerySet.due and the reaper
            models.Index(
                fields=["state", "run_after"],
                condition=Q(state__in=UNFINISHED),
                name="job_unfinished",
            ),
            models.Index(fields=["subject", "-id"], name="job_by_subject"),
            models.Index(fields=["kind", "-id"], name="job_by_kind"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} #{self.pk}"

    @property
    def is_finished(self) -> bool:
        return self.state not in UNFINISHED

    @property
    def share(self) -> float | None:
        """Part done, 0 to 1; None while the total is unknown."""
        return min(1.0, self.done / self.total) if self.total else None

    def as_dict(self) -> dict[str, Any]:
        return {"id": self.pk, "kind": self.kind, "state": self.state, "message": self.message}


class BreakerRecord(models.Model):
    """State of a circuit breaker, shared by all processes. `version` serves compare-and-set."""

    name = models.CharField(max_length=40, primary_key=True)
    version = models.PositiveBigIntegerField(default=0)
    data = models.JSONField(default=dict)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        db_table = "breaker"

    def __str__(self) -> str:
        return self.name
