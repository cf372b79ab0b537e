"""Put an earlier version back into production, as part of a rollback."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from django.db import transaction
from django.utils import timezone

from e2i_site.core.errors import Conflict
from registry.actions.stages import change_stage
from registry.choices import Stage, StageCause
from registry.locks import lock_model
from registry.models import RegistryEntry

if TYPE_CHECKING:
    from django.contrib.auth.models import User


@transaction.atomic
def restore_version(
    *, entry: RegistryEntry, replaced: RegistryEntry, actor: User | None, reason: str
) -> RegistryEntry:
    """Archive `replaced` and return `entry` to production, both or neither.

    The caller has decided that the rollback is allowed and has verified the bytes. Raises
    `Conflict` when either version is not where a rollback finds it.
    """
    lock_model(replaced.model_id)
    rows = RegistryEntry.objects.select_for_update(of=("self",)).in_bulk([entry.pk, replaced.pk])
    entry, replaced = rows[entry.pk], rows[replaced.pk]
    if replaced.stage != Stage.PRODUCTION:
        raise Conflict(f"{replaced} is in {replaced.stage}, not in production.")
    if entry.stage != Stage.ARCHIVED or entry.model_id != replaced.model_id:
        raise Conflict(f"{entry} is no archived version of {replaced.model_id}.")
    now = timezone.now()
    move = partial(change_stage, cause=StageCause.ROLLBACK, actor=actor, reason=reason, at=now)
    move(entry=replaced, to_stage=Stage.ARCHIVED)
    return move(entry=entry, to_stage=Stage.PRODUCTION)
