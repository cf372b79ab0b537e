"""Take a version out of use for good."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import transaction
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables

from e2i_site.core.errors import InvalidInput
from e2i_site.trail.record import record
from registry import rollouts, trail_events
from registry.actions.prove_identity import prove_identity
from registry.actions.stages import change_stage
from registry.choices import Stage, StageCause
from registry.gates.evaluate import content_hash
from registry.locks import lock_model
from registry.models import RegistryEntry
from registry.policies import may_deprecate
from registry.statement import statement

if TYPE_CHECKING:
    from django.contrib.auth.models import User


@sensitive_variables("password")
def deprecate_version(
    *, entry: RegistryEntry, actor: User, reason: str, password: str = ""
) -> RegistryEntry:
    """Move `entry` to deprecated, signed; nothing leads out of there, no rollback either.

    What serves or shadows is archived first. Raises Refused, or InvalidInput for what was typed.
    """
    if not (reason := reason.strip()):
        raise InvalidInput("Say why it is deprecated; it goes on record.", field="reason")
    may_deprecate(actor, entry).enforce()
    prove_identity(user=actor, password=password, subject=entry)
    with transaction.atomic():
        lock_model(entry.model_id)
        entry = RegistryEntry.objects.select_for_update(of=("self",)).get(pk=entry.pk)
        may_deprecate(actor, entry).enforce()
        left = entry.stage
        change_stage(
            entry=entry,
            to_stage=Stage.DEPRECATED,
            cause=StageCause.DEPRECATION,
            actor=actor,
            reason=reason,
        )
        rollouts.left(entry, left, actor, reason)
        said = statement(
            {"model": entry.model_id, "version": entry.model_version, "from": left,
             "digest": entry.artifact_digest},
            signer=actor, meaning=f"I take {entry} out of use for good.", reason=reason,
            at=timezone.now(),
        )  # fmt: skip
        record(
            trail_events.VERSION_DEPRECATED,
            actor=actor,
            subject=entry,
            old={"stage": left},
            new={"stage": entry.stage, "statement": said, "signature": content_hash(said)},
            reason=reason,
        )
    return entry
