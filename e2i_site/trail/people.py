"""Roles given and taken, and changed names, are recorded, whichever way they were changed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.contrib.auth.models import Group, User
from django.db import transaction
from django.db.models.signals import m2m_changed, pre_save

from e2i_site.trail import context
from e2i_site.trail.events import register
from e2i_site.trail.record import record

ROLES_GRANTED = register("accounts.user.roles_granted", "Roles granted")
ROLES_REMOVED = register("accounts.user.roles_removed", "Roles removed")
RENAMED = register("accounts.user.renamed", "Name of an account changed")
# What a signature prints.
_NAMES = ("username", "first_name", "last_name")


def watch() -> None:
    """Begin to record; called once when the apps are ready."""
    m2m_changed.connect(
        _groups_changed, sender=User.groups.through, dispatch_uid="trail.people.groups"
    )
    pre_save.connect(_saved, sender=User, dispatch_uid="trail.people.names")


def _saved(
    sender: object, instance: User, update_fields: Iterable[str] | None, **kwargs: Any
) -> None:
    if instance.pk is None or (update_fields and not set(_NAMES) & set(update_fields)):
        return
    before = User.objects.filter(pk=instance.pk).values(*_NAMES).first()
    after = {name: getattr(instance, name) for name in _NAMES}
    if before is None or before == after:
        return
    with transaction.atomic():
        record(RENAMED, actor=context.current().actor, subject=instance, old=before, new=after)


def _groups_changed(
    sender: object, instance: User | Group, action: str, pk_set: set[int] | None, **kwargs: Any
) -> None:
    if action not in ("post_add", "post_remove", "pre_clear"):
        return
    event = ROLES_GRANTED if action == "post_add" else ROLES_REMOVED
    for user, roles in _changes(instance, pk_set):
        with transaction.atomic():
            record(event, actor=context.current().actor, subject=user, new={"roles": roles})


def _changes(instance: User | Group, pk_set: set[int] | None) -> list[tuple[User, list[str]]]:
    """Who gained or lost which roles; the relation can be changed from either side."""
    if isinstance(instance, Group):
        users = instance.user_set.all() if pk_set is None else User.objects.filter(pk__in=pk_set)
        return [(user, [instance.name]) for user in users]
    groups = instance.groups.all() if pk_set is None else Group.objects.filter(pk__in=pk_set)
    names = sorted(groups.values_list("name", flat=True))
    return [(instance, names)] if names else []
