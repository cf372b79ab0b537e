"""Writing to the trail, and verifying it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.core.serializers.json import DjangoJSONEncoder
from django.db import connection, models, transaction
from django.db.models import Subquery
from django.db.models.functions import Coalesce
from django.utils import timezone

from e2i_site.trail import context, events
from e2i_site.trail.models import TrailEntry, TrailHead

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser

GENESIS = "0" * 64


def record(
    event: str,
    *,
    actor: AbstractBaseUser | AnonymousUser | None,
    subject: models.Model,
    old: Mapping[str, Any] | None = None,
    new: Mapping[str, Any] | None = None,
    reason: str = "",
    scope: str = "",
) -> TrailEntry:
    """Append one entry to the chain, inside the caller's transaction.

    `actor` None means E2I itself. `scope` groups entries of different subjects, such as
    "model:churn"; it defaults to the subject's own `trail_scope`, if it has one.
    Raises ValueError for an unregistered event and RuntimeError outside a transaction.
    """
    if not events.is_registered(event):
        raise ValueError(f"Trail event {event!r} is not registered.")
    if not connection.in_atomic_block:
        raise RuntimeError("A trail entry must share a transaction with what it records.")
    head, _ = TrailHead.objects.select_for_update().get_or_create(pk=1)
    present = context.current()
    entry = TrailEntry(
        id=head.length + 1,
        at=timezone.now(),
        event=event,
        actor_id=getattr(actor, "pk", None),
        actor_name=str(actor.get_username()) if actor is not None else "E2I",
        source=present.source,
        request_id=present.request_id,
        subject_type=subject._meta.label_lower,
        subject_id=str(subject.pk),
        subject_label=str(subject)[:300],
        scope=scope or getattr(subject, "trail_scope", ""),
        reason=reason,
        changes=_canonical({"old": dict(old or {}), "new": dict(new or {})}),
        previous_hash=head.hash,
    )
    entry.hash = entry_hash(entry)
    entry.save(force_insert=True)
    TrailHead.objects.filter(pk=1).update(length=entry.id, hash=entry.hash)
    return entry


def record_noticed(
    event: str,
    subject: models.Model,
    *,
    old: Mapping[str, Any] | None = None,
    new: Mapping[str, Any] | None = None,
) -> None:
    """Append an entry for what a signal noticed: by whoever acts now, with or without an action's
    transaction around it."""
    with transaction.atomic():
        record(event, actor=context.current().actor, subject=subject, old=old, new=new)


@dataclass(frozen=True)
class Verification:
    """`first_bad` is the position of the first entry that does not fit the chain."""

    entries: int
    ok: bool
    first_bad: int | None
    message: str


def verify() -> Verification:
    """Recompute the whole chain, O(entries), in constant memory."""
    head = TrailHead.objects.filter(pk=1).first() or TrailHead()
    previous, expected = GENESIS, 0
    for entry in TrailEntry.objects.filter(id__lte=head.length).order_by("id").iterator(2000):
        expected += 1
        if entry.id != expected:
            return Verification(expected - 1, False, expected, f"Entry {expected} is missing.")
        if entry.previous_hash != previous or entry.hash != entry_hash(entry):
            return Verification(expected, False, expected, f"Entry {expected} was changed.")
        previous = entry.hash
    if expected != head.length or previous != head.hash:
        return Verification(expected, False, expected + 1, "The end of the chain was cut off.")
    if _is_longer_than_recorded():
        return Verification(
            expected, False, expected + 1, f"Entries stand behind the recorded end, {expected}."
        )
    return Verification(expected, True, None, f"All {expected} entries fit the chain.")


def _is_longer_than_recorded() -> bool:
    """Whether entries stand behind the head; one query, for others may write meanwhile."""
    end = TrailHead.objects.filter(pk=1).values("length")
    return TrailEntry.objects.filter(id__gt=Coalesce(Subquery(end), 0)).exists()


def entry_hash(entry: TrailEntry) -> str:
    """SHA-256 of the previous hash and every field of the entry, as canonical JSON."""
    content = [
        entry.previous_hash,
        entry.id,
        entry.at.isoformat(),
        entry.event,
        entry.actor_id,
        entry.actor_name,
        entry.source,
        str(entry.request_id),
        entry.subject_type,
        entry.subject_id,
        entry.subject_label,
        entry.scope,
        entry.reason,
        entry.changes,
    ]
    return hashlib.sha256(_canonical(content).encode()).hexdigest()


def _canonical(value: Any) -> str:
    return json.dumps(
        value,
        sort_keys=True,
        separators=(",", ":"),
        ensure_ascii=False,
        cls=DjangoJSONEncoder,
        allow_nan=False,
    )
