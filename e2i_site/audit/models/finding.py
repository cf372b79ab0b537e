"""What is wrong now, since when, and who answers for living with it."""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.urls import reverse
from django.utils import timezone

from e2i_site.audit.choices import FindingStatus, Priority, WaiverEnd


def fingerprint(check_id: str, subject_kind: str, subject_key: str) -> str:
    """What makes a finding the same finding in every run: SHA-256 of check and subject, hex."""
    return hashlib.sha256("\x1f".join((check_id, subject_kind, subject_key)).encode()).hexdigest()


class FindingQuerySet(models.QuerySet["Finding"]):
    def open(self, now: datetime) -> FindingQuerySet:
        """Neither resolved nor waived at `now`; a waiver that ran out counts no longer."""
        return self.filter(Q(status=FindingStatus.OPEN) | Q(waived_until__lte=now))

    def waived(self, now: datetime) -> FindingQuerySet:
        return self.filter(status=FindingStatus.WAIVED, waived_until__gt=now)

    def resolved(self) -> FindingQuerySet:
        return self.filter(status=FindingStatus.RESOLVED)

    def at_least(self, level: str) -> FindingQuerySet:
        """As urgent as `level` or more."""
        return self.filter(priority__lte=level)

    def about(self, subject: models.Model) -> FindingQuerySet:
        """Findings whose subject is this object."""
        return self.filter(subject_kind=subject._meta.label_lower, subject_key=str(subject.pk))


class Finding(models.Model):
    """A failing outcome of one check on one subject, over all runs.

    Only a run of its check changes whether it is open or resolved; people can waive it for a
    while. `opened_at` is the start of the present spell, `first_seen` of the first one.
    """

    fingerprint = models.CharField(max_length=64, unique=True)
    check_id = models.CharField(max_length=20)
    phase = models.PositiveSmallIntegerField()
    item = models.CharField(max_length=10)
    title = models.CharField(max_length=200)
    subject_kind = models.CharField(max_length=80)
    subject_key = models.CharField(max_length=300)
    subject_label = models.CharField(max_length=300)
    subject_url = models.TextField(blank=True)
    priority = models.CharField(max_length=2, choices=Priority.choices)
    message = models.TextField()
    remediation = models.TextField()
    evidence = models.JSONField(default=dict, blank=True)
    status = models.CharField(
        max_length=10, choices=FindingStatus.choices, default=FindingStatus.OPEN
    )
    first_seen = models.DateTimeField()
    last_seen = models.DateTimeField()
    opened_at = models.DateTimeField()
    resolved_at = models.DateTimeField(null=True, blank=True)
    waived_until = models.DateTimeField(null=True, blank=True)
    occurrences = models.PositiveIntegerField(default=1)
    regressions = models.PositiveIntegerField(
        default=0, help_text="How often it came back after it was resolved."
    )
    first_run = models.ForeignKey("audit.AuditRun", on_delete=models.PROTECT, related_name="+")
    last_run = models.ForeignKey("audit.AuditRun", on_delete=models.PROTECT, related_name="+")

    objects = FindingQuerySet.as_manager()

    class Meta:
        db_table = "audit_finding"
        ordering = ["priority", "-opened_at"]
        constraints = [
            models.CheckConstraint(
                condition=Q(status__in=FindingStatus.values), name="audit_finding_status_is_legal"
            ),
            models.CheckConstraint(
                condition=Q(priority__in=Priority.values), name="audit_finding_priority_is_legal"
            ),
            models.CheckConstraint(
                condition=Q(status=FindingStatus.RESOLVED, resolved_at__isnull=False)
                | (~Q(status=FindingStatus.RESOLVED) & Q(resolved_at__isnull=True)),
                name="audit_finding_resolved_has_time",
            ),
            models.CheckConstraint(
                condition=Q(status=FindingStatus.WAIVED, waived_until__isnull=False)
                | (~Q(status=FindingStatus.WAIVED) & Q(waived_until__isnull=True)),
                name="audit_finding_waived_has_end",
            ),
            models.CheckConstraint(
                condition=Q(first_seen__lte=F("opened_at"), opened_at__lte=F("last_seen")),
                name="audit_finding_times_in_order",
            ),
            models.CheckConstraint(
                condition=Q(occurrences__gt=F("regressions")),
                name="audit_finding_counts_fit",
            ),
        ]
        indexes = [
            models.Index(fields=["status", "priority", "-opened_at"], name="audit_finding_queue"),
            models.Index(fields=["check_id"], name="audit_finding_by_check"),
            models.Index(fields=["subject_kind", "subject_key"], name="audit_finding_by_subject"),
        ]

    def __str__(self) -> str:
        return f"{self.check_id} {self.subject_label}"

    def get_absolute_url(self) -> str:
        return reverse("audit:finding", args=[self.pk])

    def status_at(self, now: datetime) -> FindingStatus:
        """The status people see: a waiver that ran out leaves the finding open."""
        if self.status == FindingStatus.WAIVED and self.waived_until and self.waived_until <= now:
            return FindingStatus.OPEN
        return FindingStatus(self.status)

    @property
    def shown_status(self) -> FindingStatus:
        """The status as of now, for lists."""
        return self.status_at(timezone.now())

    @property
    def is_regressed(self) -> bool:
        return self.regressions > 0 and self.status != FindingStatus.RESOLVED

    def as_dict(self) -> dict[str, Any]:
        """The form that commands and reports give."""
        return {
            "check": self.check_id,
            "subject": self.subject_label,
            "priority": self.priority,
            "message": self.message,
            "remediation": self.remediation,
            "evidence": self.evidence,
            "status": self.shown_status,
            "first_seen": self.first_seen.isoformat(),
            "last_seen": self.last_seen.isoformat(),
            "occurrences": self.occurrences,
            "regressed": self.is_regressed,
        }


class Waiver(models.Model):
    """Somebody answers for living with a finding until a day. At most one is in force."""

    finding = models.ForeignKey(Finding, on_delete=models.PROTECT, related_name="waivers")
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="waivers_owned"
    )
    granted_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="waivers_granted"
    )
    priority = models.CharField(
        max_length=2, choices=Priority.choices, help_text="Of the finding when it was waived."
    )
    reason = models.TextField()
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    ended_because = models.CharField(max_length=10, choices=WaiverEnd.choices, blank=True)

    class Meta:
        db_table = "audit_waiver"
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["finding"],
                condition=Q(ended_at__isnull=True),
                name="audit_one_waiver_in_force",
            ),
            models.CheckConstraint(
                condition=Q(ended_at__isnull=True, ended_because="")
                | Q(ended_at__isnull=False, ended_because__in=WaiverEnd.values),
                name="audit_waiver_end_has_cause",
            ),
            models.CheckConstraint(condition=~Q(reason=""), name="audit_waiver_has_reason"),
            models.CheckConstraint(
                condition=Q(expires_at__gt=F("created_at")), name="audit_waiver_ends_later"
            ),
        ]

    def __str__(self) -> str:
        return f"Waiver of {self.finding}"

    def covers(self, at: datetime) -> bool:
        """Whether it was in force at that moment."""
        ended = min(self.expires_at, self.ended_at or self.expires_at)
        return self.created_at <= at < ended
