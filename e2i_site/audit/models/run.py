"""What an audit did: the run, each check in it, and each subject that a check looked at."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.urls import reverse

from e2i_site.audit.choices import WORST_FIRST, Outcome, Priority, RunStatus

# An audit that shows no sign of life for this long was left by a process that died.
SILENT_AFTER = timedelta(minutes=30)


class AuditRunQuerySet(models.QuerySet["AuditRun"]):
    def unfinished(self) -> AuditRunQuerySet:
        return self.filter(status__in=(RunStatus.WAITING, RunStatus.RUNNING))

    def finished(self) -> AuditRunQuerySet:
        return self.filter(status=RunStatus.FINISHED)

    def full(self) -> AuditRunQuerySet:
        """Runs of all checks."""
        return self.filter(phase=None, check_id="")

    def held_by_a_job(self) -> AuditRunQuerySet:
        """Runs whose job has not ended; its lease sees to it that it does."""
        return self.filter(job__state__in=("queued", "running", "waiting"))

    def abandon_silent(self, now: datetime) -> int:
        """Mark runs whose process died. A run that a job still holds is left to the job."""
        silent = Q(job__isnull=True, beat_at__lt=now - SILENT_AFTER)
        ended = Q(job__state__in=("succeeded", "failed", "cancelled"))
        dead = self.unfinished().filter(silent | ended)
        return AuditRun.objects.filter(pk__in=list(dead.values_list("pk", flat=True))).update(
            status=RunStatus.ABANDONED, finished_at=now
        )


class AuditRun(models.Model):
    """One run of all checks, of one phase or of one check."""

    phase = models.PositiveSmallIntegerField(null=True, blank=True, help_text="Empty: all.")
    check_id = models.CharField(max_length=20, blank=True, help_text="Empty: all.")
    status = models.CharField(max_length=10, choices=RunStatus.choices, default=RunStatus.WAITING)
    started_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
        help_text="Empty: the schedule or a command.",
    )
    job = models.OneToOneField(
        "jobs.Job",
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="audit_run",
        help_text="Empty: it ran inside a command.",
    )
    checks_total = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    beat_at = models.DateTimeField(help_text="Last sign of life.")
    counts = models.JSONField(
        default=dict,
        blank=True,
        help_text="Checks by outcome, and findings open at the end by priority.",
    )

    objects = AuditRunQuerySet.as_manager()

    class Meta:
        db_table = "audit_run"
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(status__in=RunStatus.values), name="audit_run_status_is_legal"
            ),
            models.CheckConstraint(
                condition=Q(status__in=(RunStatus.WAITING, RunStatus.RUNNING))
                | Q(finished_at__isnull=False),
                name="audit_run_ended_has_time",
            ),
        ]
        indexes = [models.Index(fields=["status", "-id"], name="audit_run_by_status")]

    def __str__(self) -> str:
        return f"Audit run {self.pk}"

    def get_absolute_url(self) -> str:
        return reverse("audit:run", args=[self.pk])

    @property
    def is_finished(self) -> bool:
        return self.status in (RunStatus.FINISHED, RunStatus.ABANDONED)

    def is_silent(self, now: datetime) -> bool:
        """True when nobody is at it any more: its job has ended, or nothing was heard for long."""
        if self.is_finished:
            return False
        job_ended = self.job is not None and self.job.is_finished
        return job_ended or now - self.beat_at > SILENT_AFTER

    @property
    def is_full(self) -> bool:
        return self.phase is None and not self.check_id

    @property
    def scope(self) -> str:
        """What it covered, in words."""
        if self.check_id:
            return f"check {self.check_id}"
        return "all checks" if self.phase is None else f"phase {self.phase}"

    @property
    def seconds(self) -> float | None:
        if self.started_at is None or self.finished_at is None:
            return None
        return (self.finished_at - self.started_at).total_seconds()

    @property
    def outcome_counts(self) -> list[tuple[str, int]]:
        """(outcome, checks that had it), the worst first, without those that nothing had."""
        counts = self.counts.get("checks", {})
        return [(each.value, counts[each]) for each in WORST_FIRST if counts.get(each)]

    def open_findings(self, priority: str) -> int:
        """Findings of this priority that were open when the run ended."""
        return int(self.counts.get("open_findings", {}).get(priority, 0))


class CheckResult(models.Model):
    """One check in one run; its outcome is the worst of its subjects'."""

    run = models.ForeignKey(AuditRun, on_delete=models.PROTECT, related_name="results")
    check_id = models.CharField(max_length=20)
    phase = models.PositiveSmallIntegerField()
    item = models.CharField(max_length=10)
    title = models.CharField(max_length=200)
    remediation = models.TextField()
    priority = models.CharField(max_length=2, choices=Priority.choices)
    outcome = models.CharField(max_length=14, choices=Outcome.choices)
    message = models.TextField(blank=True, help_text="Why it erred or could not be established.")
    subjects = models.PositiveIntegerField(default=0)
    passed = models.PositiveIntegerField(default=0)
    failed = models.PositiveIntegerField(default=0)
    inconclusive = models.PositiveIntegerField(default=0)
    seconds = models.FloatField()
    at = models.DateTimeField()

    class Meta:
        db_table = "audit_check_result"
        ordering = ["run_id", "phase", "id"]
        constraints = [
            models.UniqueConstraint(fields=["run", "check_id"], name="audit_one_result_a_check"),
            models.CheckConstraint(
                condition=Q(outcome__in=Outcome.values), name="audit_result_outcome_is_legal"
            ),
            models.CheckConstraint(
                condition=Q(priority__in=Priority.values), name="audit_result_priority_is_legal"
            ),
            models.CheckConstraint(
                condition=Q(subjects=F("passed") + F("failed") + F("inconclusive")),
                name="audit_result_counts_add_up",
            ),
            models.CheckConstraint(
                condition=~Q(outcome=Outcome.PASS) | Q(passed__gt=0, failed=0, inconclusive=0),
                name="audit_result_pass_has_subjects",
            ),
            models.CheckConstraint(
                condition=~Q(outcome=Outcome.FAIL) | Q(failed__gt=0),
                name="audit_result_fail_has_failure",
            ),
            models.CheckConstraint(condition=Q(seconds__gte=0), name="audit_result_seconds"),
        ]
        indexes = [models.Index(fields=["check_id", "-id"], name="audit_result_by_check")]

    def __str__(self) -> str:
        return f"{self.check_id} {self.get_outcome_display()}"

    @property
    def summary(self) -> str:
        """The outcome in one line."""
        if self.outcome in (Outcome.ERROR, Outcome.INCONCLUSIVE) and self.message:
            return self.message
        if self.outcome == Outcome.NOT_APPLICABLE:
            return "Nothing to look at yet."
        parts = [f"{self.passed} of {self.subjects} passed"]
        if self.failed:
            parts.append(f"{self.failed} failed")
        if self.inconclusive:
            parts.append(f"{self.inconclusive} inconclusive")
        return ", ".join(parts)


class SubjectResult(models.Model):
    """One outcome of one check on one subject."""

    result = models.ForeignKey(CheckResult, on_delete=models.PROTECT, related_name="outcomes")
    subject_kind = models.CharField(max_length=80)
    subject_key = models.CharField(max_length=300)
    subject_label = models.CharField(max_length=300)
    subject_url = models.TextField(blank=True)
    outcome = models.CharField(max_length=14, choices=Outcome.choices)
    priority = models.CharField(max_length=2, choices=Priority.choices, null=True, blank=True)
    message = models.TextField(blank=True)
    evidence = models.JSONField(default=dict, blank=True)
    finding = models.ForeignKey(
        "audit.Finding",
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="occurrences_seen",
    )

    class Meta:
        db_table = "audit_subject_result"
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(
                fields=["result", "subject_kind", "subject_key"],
                name="audit_one_outcome_a_subject",
            ),
            models.CheckConstraint(
                condition=Q(
                    outcome=Outcome.FAIL, priority__in=Priority.values, finding__isnull=False
                )
                | Q(
                    outcome__in=(Outcome.PASS, Outcome.INCONCLUSIVE),
                    priority__isnull=True,
                    finding__isnull=True,
                ),
                name="audit_outcome_fail_has_finding",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.subject_label}: {self.get_outcome_display()}"

    def as_dict(self) -> dict[str, Any]:
        return {
            "subject": self.subject_label,
            "outcome": self.outcome,
            "priority": self.priority,
            "message": self.message,
            "evidence": self.evidence,
        }
