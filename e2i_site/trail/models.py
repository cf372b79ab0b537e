"""The append-only record. Rows are written by `record.record` and by nothing else."""

from __future__ import annotations

import json
from typing import Any

from django.conf import settings
from django.db import models


class Source(models.TextChoices):
    WEB = "web", "Browser"
    API = "api", "API"
    COMMAND = "command", "Command line"
    JOB = "job", "Background job"


class TrailEntry(models.Model):
    """One thing that somebody did. The database refuses to change or delete it.

    `changes` is canonical JSON text, not a JSON column: the hash covers its exact bytes, and
    PostgreSQL would reformat numbers. Names are kept as text so that an entry outlives the user
    and the object it speaks of.
    """

    id = models.BigIntegerField(primary_key=True, help_text="Position in the chain, from 1.")
    at = models.DateTimeField()
    event = models.CharField(max_length=80)
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        related_name="+",
    )
    actor_name = models.CharField(max_length=200)
    source = models.CharField(max_length=10, choices=Source.choices)
    request_id = models.UUIDField(help_text="Shared by all entries of one request or job.")
    subject_type = models.CharField(max_length=80)
    subject_id = models.CharField(max_length=80)
    subject_label = models.CharField(max_length=300)
    scope = models.CharField(
        max_length=300, blank=True, help_text="What it belongs to, such as model:churn."
    )
    reason = models.TextField(blank=True)
    changes = models.TextField(help_text='Canonical JSON: {"old": {…}, "new": {…}}.')
    previous_hash = models.CharField(max_length=64)
    hash = models.CharField(max_length=64, unique=True)

    class Meta:
        db_table = "trail_entry"
        ordering = ["-id"]
        verbose_name_plural = "trail entries"
        indexes = [
            models.Index(fields=["subject_type", "subject_id", "-id"], name="trail_by_subject"),
            models.Index(fields=["scope", "-id"], name="trail_by_scope"),
            models.Index(fields=["event", "-id"], name="trail_by_event"),
            models.Index(fields=["actor", "-id"], name="trail_by_actor"),
            models.Index(fields=["-at"], name="trail_by_time"),
        ]

    def __str__(self) -> str:
        return f"#{self.pk} {self.event} {self.subject_label}"

    @property
    def old(self) -> dict[str, Any]:
        return dict(json.loads(self.changes)["old"])

    @property
    def new(self) -> dict[str, Any]:
        return dict(json.loads(self.changes)["new"])


class TrailHead(models.Model):
    """The end of the chain. Locked while an entry is added; shows when the tail was cut off."""

    id = models.SmallIntegerField(primary_key=True, default=1)
    length = models.BigIntegerField(default=0)
    hash = models.CharField(max_length=64, default="0" * 64)

    class Meta:
        db_table = "trail_head"
        constraints = [models.CheckConstraint(condition=models.Q(id=1), name="trail_one_head")]

    def __str__(self) -> str:
        return f"{self.length} entries"
