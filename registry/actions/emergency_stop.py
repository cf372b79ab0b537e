"""Take a version out of service at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import transaction

from e2i_site.core.errors import InvalidInput
from e2i_site.core.roles import Role
from e2i_site.notifications.notify import notify
from e2i_site.trail.record import record
from registry import notification_events, rollouts, trail_events
from registry.actions.stages import change_stage
from registry.choices import Stage, StageCause
from registry.emergency_policies import may_stop
from registry.locks import lock_model
from registry.models import RegistryEntry

if TYPE_CHECKING:
    from django.contrib.auth.models import User

TOLD = (Role.DEPLOYER, Role.APPROVER, Role.AUDITOR, Role.ADMINISTRATOR)


@transaction.atomic
def emergency_stop(
    *, entry: RegistryEntry, actor: User, reason: str, confirmation: str
) -> RegistryEntry:
    """Archive a version in shadow or production and stop its traffic; nothing takes its place.

    `confirmation` is the model's name as typed. The gateway answers 503 for the endpoint within
    seconds, and MLflow's alias is removed. Raises Refused, or InvalidInput for what was typed.
    """
    if confirmation.strip() != entry.model_id:
        raise InvalidInput("Type the model's name exactly.", field="confirmation")
    if not reason.strip():
        raise InvalidInput("Say why it is stopped; it goes on record.", field="reason")
    reason = reason.strip()
    lock_model(entry.model_id)
    entry = RegistryEntry.objects.select_for_update(of=("self",)).get(pk=entry.pk)
    may_stop(actor, entry).enforce()
    stage = entry.stage
    change_stage(
        entry=entry,
        to_stage=Stage.ARCHIVED,
        cause=StageCause.EMERGENCY,
        actor=actor,
        reason=reason,
    )
    rollouts.left(entry, stage, actor, reason, stopped=True)
    record(
        trail_events.EMERGENCY_STOP,
        actor=actor,
        subject=entry,
        old={"stage": stage},
        new={"stage": entry.stage},
        reason=reason,
    )
    notify(
        notification_events.EMERGENCY_STOP,
        subject=entry,
        title=f"Emergency stop: {entry} left {stage}",
        text=reason,
        audience=TOLD,
        actor=actor,
    )
    return entry
