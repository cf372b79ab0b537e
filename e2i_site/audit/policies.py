"""Who may do what in the audit."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from e2i_site.audit import registry
from e2i_site.audit.choices import FindingStatus, Priority
from e2i_site.core.decision import ALLOWED, Decision, refuse
from e2i_site.core.roles import Role, has_role

if TYPE_CHECKING:
    from django.contrib.auth.base_user import AbstractBaseUser
    from django.contrib.auth.models import AnonymousUser, User

    from e2i_site.audit.models import AuditRun, Finding

LONGEST_WAIVER = timedelta(days=90)
LONGEST_P0_WAIVER = timedelta(days=7)


def may_start(user: AbstractBaseUser | AnonymousUser, running: AuditRun | None) -> Decision:
    """Anyone who reviews, approves, deploys, audits or administers; one audit at a time."""
    roles = (Role.REVIEWER, Role.APPROVER, Role.DEPLOYER, Role.AUDITOR, Role.ADMINISTRATOR)
    return refuse(
        ""
        if has_role(user, *roles)
        else "Starting an audit needs the role reviewer, approver, deployer, auditor or "
        "administrator.",
        f"{running} is still going on." if running else "",
    )


def may_waive(user: AbstractBaseUser | AnonymousUser, finding: Finding, now: datetime) -> Decision:
    """An auditor or an administrator; a P0 only an administrator."""
    if finding.status == FindingStatus.RESOLVED:
        return refuse("The finding is resolved.")
    if finding.status_at(now) == FindingStatus.WAIVED:
        return refuse("The finding is waived already; revoke that waiver first.")
    check = registry.find(finding.check_id)
    if check is not None and not check.waivable:
        return refuse("A finding of this check cannot be waived; do what its remediation says.")
    if finding.priority == Priority.P0 and not has_role(user, Role.ADMINISTRATOR):
        return refuse("Waiving a P0 finding needs the role administrator.")
    return _auditor(user, "Waiving a finding")


def may_own(owner: User) -> Decision:
    """Whoever answers for a finding has an account in use, and a role to do something about it."""
    name = owner.get_username()
    return refuse(
        "" if owner.is_active else f"{name} cannot own a waiver: the account is not active.",
        ""
        if has_role(owner, *(each for each in Role.values if each != Role.VIEWER))
        else f"{name} cannot own a waiver: the account may only read.",
    )


def may_revoke(user: AbstractBaseUser | AnonymousUser, finding: Finding, now: datetime) -> Decision:
    """An auditor or an administrator, while a waiver is in force."""
    if finding.status_at(now) != FindingStatus.WAIVED:
        return refuse("The finding has no waiver in force.")
    return _auditor(user, "Revoking a waiver")


def may_remedy(user: AbstractBaseUser | AnonymousUser, finding: Finding, now: datetime) -> Decision:
    """A deployer, an auditor or an administrator, while the finding is not resolved."""
    if finding.status_at(now) == FindingStatus.RESOLVED:
        return refuse("The finding is resolved.")
    if has_role(user, Role.DEPLOYER, Role.AUDITOR, Role.ADMINISTRATOR):
        return ALLOWED
    return refuse("A remedy needs the role deployer, auditor or administrator.")


def waiver_fits(priority: str, reason: str, expires_at: datetime, now: datetime) -> Decision:
    """A waiver says why, and ends: within 7 days for a P0, within 90 for the others."""
    longest = LONGEST_P0_WAIVER if priority == Priority.P0 else LONGEST_WAIVER
    return refuse(
        "" if len(reason.strip()) >= 10 else "The reason needs at least 10 characters.",
        "" if expires_at > now else "The waiver must end in the future.",
        ""
        if expires_at <= now + longest
        else f"A {priority} finding can be waived for at most {longest.days} days.",
    )


def _auditor(user: AbstractBaseUser | AnonymousUser, what: str) -> Decision:
    if has_role(user, Role.AUDITOR, Role.ADMINISTRATOR):
        return ALLOWED
    return refuse(f"{what} needs the role auditor or administrator.")
