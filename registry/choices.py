"""Stages, states and outcomes, with the words people see."""

from __future__ import annotations

from collections.abc import Iterable

from django.db import models


class Stage(models.TextChoices):
    DEVELOPMENT = "development", "Development"
    STAGING = "staging", "Staging"
    SHADOW = "shadow", "Shadow"
    PRODUCTION = "production", "Production"
    ARCHIVED = "archived", "Archived"
    DEPRECATED = "deprecated", "Deprecated"


# The way of a version. A rollback is an action of its own.
ALLOWED_PROMOTIONS: dict[str, tuple[Stage, ...]] = {
    Stage.DEVELOPMENT: (Stage.STAGING, Stage.ARCHIVED),
    Stage.STAGING: (Stage.SHADOW, Stage.ARCHIVED),
    Stage.SHADOW: (Stage.PRODUCTION, Stage.ARCHIVED),
    Stage.PRODUCTION: (Stage.ARCHIVED,),
    Stage.ARCHIVED: (),
    Stage.DEPRECATED: (),
}
# A restore: asked for, judged and reviewed like a promotion to that stage, but no step of the way.
RESTORES: dict[str, tuple[Stage, ...]] = {Stage.ARCHIVED: (Stage.STAGING,)}
# Stages that MLflow shows as an alias of the same name.
ALIASED_STAGES = (Stage.STAGING, Stage.SHADOW, Stage.PRODUCTION)
# Stages whose change waits for a healthy deployment.
SERVED_STAGES = (Stage.SHADOW, Stage.PRODUCTION)


class PromotionState(models.TextChoices):
    OPEN = "open", "In review"
    CHANGES_REQUESTED = "changes_requested", "Changes requested"
    APPROVED = "approved", "Approved, rolling out"
    APPLIED = "applied", "Done"
    FAILED = "failed", "Roll-out failed"
    REJECTED = "rejected", "Rejected"
    WITHDRAWN = "withdrawn", "Withdrawn"
    SUPERSEDED = "superseded", "Superseded"
    EXPIRED = "expired", "Expired"


OPEN_PROMOTION = (PromotionState.OPEN, PromotionState.CHANGES_REQUESTED, PromotionState.APPROVED)
UNDECIDED = (PromotionState.OPEN, PromotionState.CHANGES_REQUESTED)


class Risk(models.TextChoices):
    LOW = "low", "Low risk"
    MEDIUM = "medium", "Medium risk"
    HIGH = "high", "High risk"


class GateOutcome(models.TextChoices):
    PASS = "pass", "Passed"
    INCONCLUSIVE = "inconclusive", "Inconclusive"
    FAIL = "fail", "Failed"
    ERROR = "error", "Error"


# A group of gates is as good as its worst one.
BADNESS = (GateOutcome.PASS, GateOutcome.INCONCLUSIVE, GateOutcome.FAIL, GateOutcome.ERROR)


def worst_of(outcomes: Iterable[GateOutcome]) -> GateOutcome:
    """The worst of a group; an empty one passes."""
    return max(outcomes, key=BADNESS.index, default=BADNESS[0])


class MeasurementState(models.TextChoices):
    MEASURED = "measured", "Measured"
    IMPOSSIBLE = "impossible", "Cannot be measured"
    ERROR = "error", "Error"


class ReviewDecision(models.TextChoices):
    APPROVE = "approve", "Approved"
    REJECT = "reject", "Rejected"
    REQUEST_CHANGES = "request_changes", "Changes requested"
    COMMENT = "comment", "Comment"


class StageCause(models.TextChoices):
    REGISTERED = "registered", "Registered"
    PROMOTION = "promotion", "Promotion"
    SUCCESSOR = "successor", "Archived for its successor"
    ROLLBACK = "rollback", "Rollback"
    RESTORE = "restore", "Restore"
    DEPRECATION = "deprecation", "Deprecation"
    EMERGENCY = "emergency", "Emergency stop"
