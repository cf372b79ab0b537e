"""Telling people of findings that are urgent: once when one opens, and again when it comes back."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from operator import attrgetter
from urllib.parse import urlencode

from django.urls import reverse

from e2i_site.audit import notification_events, plan
from e2i_site.audit.choices import Priority
from e2i_site.audit.models import Finding
from e2i_site.audit.registry import Check
from e2i_site.core.roles import Role
from e2i_site.notifications.notify import notify

EVENTS = {
    Priority.P0: notification_events.UNSAFE,
    Priority.P1: notification_events.URGENT,
}
# A deployer can roll back what is unsafe.
TOLD = {
    Priority.P0: (Role.AUDITOR, Role.ADMINISTRATOR, Role.DEPLOYER),
    Priority.P1: (Role.AUDITOR, Role.ADMINISTRATOR),
}
NAMED = 10


def opened(check: Check, findings: Sequence[Finding]) -> None:
    """One message a check and priority about findings that opened or became more urgent."""
    if check.id == plan.COMPLETION:
        return  # it only repeats what the findings themselves told
    urgent = sorted((each for each in findings if each.priority in EVENTS), key=_priority)
    for priority, some in groupby(urgent, key=_priority):
        _tell(check, Priority(priority), list(some))


_priority = attrgetter("priority")


def _tell(check: Check, priority: Priority, found: list[Finding]) -> None:
    first, count = found[0], len(found)
    title = f"{priority}: {first}" if count == 1 else f"{priority}: {count} findings of {check.id}"
    lines = [f"{each.subject_label}: {each.message}" for each in found[:NAMED]]
    if count > NAMED:
        lines.append(f"and {count - NAMED} more.")
    notify(
        EVENTS[priority],
        subject=first,
        title=title,
        text="\n".join([*lines, "", check.remediation]),
        url="" if count == 1 else f"{reverse('audit:findings')}?{urlencode({'check': check.id})}",
        audience=TOLD[priority],
        actor=None,
    )
