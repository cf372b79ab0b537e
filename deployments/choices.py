"""States and strategies, with the words people see."""

from __future__ import annotations

from django.db import models


class Environment(models.TextChoices):
    STAGING = "staging", "Staging"
    PRODUCTION = "production", "Production"


class DeploymentStatus(models.TextChoices):
    PENDING = "pending", "Pending"
    DEPLOYING = "deploying", "Deploying"
    ACTIVE = "active", "Active"
    DRAINING = "draining", "Kept warm"
    RETIRED = "retired", "Retired"
    ROLLED_BACK = "rolled_back", "Rolled back"
    FAILED = "failed", "Failed"
    STOPPED = "stopped", "Stopped in an emergency"


LIVE = (DeploymentStatus.DEPLOYING, DeploymentStatus.ACTIVE, DeploymentStatus.DRAINING)


class Strategy(models.TextChoices):
    DIRECT = "direct", "Direct"
    SHADOW = "shadow", "Shadow"
    CANARY = "canary", "Canary"
    BLUE_GREEN = "blue_green", "Blue-green"


class CanaryState(models.TextChoices):
    RUNNING = "running", "Running"
    PAUSED = "paused", "Paused"
    DONE = "done", "Passed"
    ENDED = "ended", "Ended"


class WindowState(models.TextChoices):
    OPEN = "open", "Collecting evidence"
    CLOSED = "closed", "Closed"
    VOID = "void", "Void"


class VerdictState(models.TextChoices):
    PASS = "pass", "Passed"
    FAIL = "fail", "Failed"
    INCONCLUSIVE = "inconclusive", "Not enough evidence yet"
