"""What can happen in MLflow past E2I, to what, and how it was noticed."""

from __future__ import annotations

from django.db.models import TextChoices


class SubjectKind(TextChoices):
    MODEL = "model", "Model"
    VERSION = "version", "Version"
    RUN = "run", "Run"
    EXPERIMENT = "experiment", "Experiment"


class EventKind(TextChoices):
    ALIAS_SET = "alias_set", "Alias set"
    ALIAS_MOVED = "alias_moved", "Alias moved"
    ALIAS_DELETED = "alias_deleted", "Alias deleted"
    TAG_SET = "tag_set", "Tag set"
    TAG_CHANGED = "tag_changed", "Tag changed"
    TAG_DELETED = "tag_deleted", "Tag deleted"
    METRIC_ADDED = "metric_added", "Metric added after the end"
    METRIC_CHANGED = "metric_changed", "Metric changed after the end"
    METRIC_DELETED = "metric_deleted", "Metric deleted after the end"
    PARAM_ADDED = "param_added", "Parameter added after the end"
    PARAM_CHANGED = "param_changed", "Parameter changed after the end"
    PARAM_DELETED = "param_deleted", "Parameter deleted after the end"
    STATUS_CHANGED = "status_changed", "Status changed after the end"
    CREATED = "created", "Created"
    DELETED = "deleted", "Deleted"
    RESTORED = "restored", "Restored"
    HIDDEN = "hidden", "Hidden from E2I"
    SHOWN = "shown", "Visible again"
    RENAMED = "renamed", "Renamed"
    DESCRIPTION_CHANGED = "description_changed", "Description changed"


class EventSource(TextChoices):
    SYNC = "sync", "Sync"
    WEBHOOK = "webhook", "Webhook"
