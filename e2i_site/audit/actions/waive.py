"""Waive a finding for a while, and take a waiver back."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from django.db import transaction
from django.utils import timezone

from e2i_site.audit import trail_events
from e2i_site.audit.choices import FindingStatus, WaiverEnd
from e2i_site.audit.models import Finding, Waiver
from e2i_site.audit.policies import may_own, may_revoke, may_waive, waiver_fits
from e2i_site.core.errors import InvalidInput
from e2i_site.trail.record import record

if TYPE_CHECKING:
    from django.contrib.auth.models import User


@transaction.atomic
def waive(
    *, finding: Finding, actor: User, owner: User, reason: str, expires_at: datetime
) -> Waiver:
    """Let a finding stand until `expires_at`; `owner` answers for it. Raises `Refused`."""
    now = timezone.now()
    finding = Finding.objects.select_for_update().get(pk=finding.pk)
    may_waive(actor, finding, now).enforce()
    waiver_fits(finding.priority, reason, expires_at, now).enforce()
    may_own(owner).enforce()
    finding.waivers.filter(ended_at__isnull=True).update(
        ended_at=now, ended_because=WaiverEnd.EXPIRED
    )
    waiver = Waiver.objects.create(
        finding=finding,
        owner=owner,
        granted_by=actor,
        priority=finding.priority,
        reason=reason.strip(),
        expires_at=expires_at,
    )
    finding.status, finding.waived_until = FindingStatus.WAIVED, expires_at
    finding.save(update_fields=["status", "waived_until"])
    record(
        trail_events.FINDING_WAIVED,
        actor=actor,
        subject=finding,
        new={"owner": owner.get_username(), "until": expires_at, "priority": finding.priority},
        reason=waiver.reason,
    )
    return waiver


@transaction.atomic
def revoke_waiver(*, finding: Finding, actor: User, reason: str) -> Finding:
    """End the waiver in force; the finding is open again. Raises `Refused` or `InvalidInput`."""
    if not reason.strip():
        raise InvalidInput("Say why the waiver ends early.", field="reason")
    now = timezone.now()
    finding = Finding.objects.select_for_update().get(pk=finding.pk)
    may_revoke(actor, finding, now).enforce()
    until = finding.waived_until
    finding.waivers.filter(ended_at__isnull=True).update(
        ended_at=now, ended_because=WaiverEnd.REVOKED
    )
    finding.status, finding.waived_until = FindingStatus.OPEN, None
    finding.save(update_fields=["status", "waived_until"])
    record(
        trail_events.WAIVER_REVOKED,
        actor=actor,
        subject=finding,
        old={"until": until},
        reason=reason.strip(),
    )
    return finding
