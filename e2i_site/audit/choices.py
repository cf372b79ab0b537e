"""Values that audit rows may take, with their words."""

from __future__ import annotations

from collections.abc import Iterable

from django.db import models


class Priority(models.TextChoices):
    """How bad a finding is. The order of the values is the order of urgency."""

    P0 = "P0", "P0 · wrong or unsafe now"
    P1 = "P1", "P1 · lost linkage"
    P2 = "P2", "P2 · wrong metadata"
    P3 = "P3", "P3 · deprecated use or clean-up"
    P4 = "P4", "P4 · informational"

    def at_least(self, level: str) -> bool:
        """True when this is as urgent as `level` or more."""
        return self.value <= level


class Outcome(models.TextChoices):
    """What a check found. Error, inconclusive and fail are three different answers."""

    PASS = "pass", "Passed"
    FAIL = "fail", "Failed"
    ERROR = "error", "Error"
    INCONCLUSIVE = "inconclusive", "Inconclusive"
    NOT_APPLICABLE = "not_applicable", "Not applicable"


# From best to worst. A group is as good as its worst member.
_SEVERITY = (
    Outcome.NOT_APPLICABLE,
    Outcome.PASS,
    Outcome.INCONCLUSIVE,
    Outcome.ERROR,
    Outcome.FAIL,
)


WORST_FIRST = tuple(reversed(_SEVERITY))


def worst(outcomes: Iterable[str]) -> Outcome:
    """The worst of `outcomes`; not applicable when there is none."""
    ranks = [_SEVERITY.index(Outcome(outcome)) for outcome in outcomes]
    return _SEVERITY[max(ranks, default=0)]


class RunStatus(models.TextChoices):
    WAITING = "waiting", "Waiting"
    RUNNING = "running", "Running"
    FINISHED = "finished", "Finished"
    ABANDONED = "abandoned", "Abandoned"


class FindingStatus(models.TextChoices):
    OPEN = "open", "Open"
    WAIVED = "waived", "Waived"
    RESOLVED = "resolved", "Resolved"


class WaiverEnd(models.TextChoices):
    EXPIRED = "expired", "Expired"
    REVOKED = "revoked", "Revoked"
    RESOLVED = "resolved", "The finding was resolved"
    ESCALATED = "escalated", "The finding became more urgent"
