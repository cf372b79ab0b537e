"""Do what a finding's check offers as its remedy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import transaction
from django.utils import timezone

from e2i_site.audit import remedies, trail_events
from e2i_site.audit.models import Finding
from e2i_site.audit.policies import may_remedy
from e2i_site.core.errors import InvalidInput
from e2i_site.trail.record import record

if TYPE_CHECKING:
    from django.contrib.auth.models import User


@transaction.atomic
def apply_remedy(*, finding: Finding, actor: User) -> remedies.Remedy:
    """Start the remedy; only another run of the check resolves the finding.

    Raises `Refused` without the role or when the finding is resolved, `InvalidInput` when its
    check offers none.
    """
    finding = Finding.objects.select_for_update().get(pk=finding.pk)
    remedy = remedies.find(finding.check_id)
    if remedy is None:
        raise InvalidInput(f"Check {finding.check_id} offers no remedy; do what its text says.")
    may_remedy(actor, finding, timezone.now()).enforce()
    remedy.function(finding, actor)
    record(trail_events.REMEDY_STARTED, actor=actor, subject=finding, new={"remedy": remedy.label})
    return remedy
