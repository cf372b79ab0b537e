"""Changed roles, names, rights and passwords are recorded, whichever way they were changed; and
accounts that are deleted, or begin with rights."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.contrib.auth.models import Group, User
from django.db.models.signals import m2m_changed, post_save, pre_delete, pre_save

from e2i_site.trail.events import register
from e2i_site.trail.record import record_noticed

ROLES_GRANTED = register("accounts.user.roles_granted", "Roles granted")
ROLES_REMOVED = register("accounts.user.roles_removed", "Roles removed")
RENAMED = register("accounts.user.renamed", "Name of an account changed")
RIGHTS_CHANGED = register("accounts.user.rights_changed", "Rights of an account changed")
PASSWORD_CHANGED = register("accounts.user.password_changed", "Password of an account changed")
DELETED = register("accounts.user.deleted", "Account deleted")
# What a signature prints.
_NAMES = ("username", "first_name", "last_name")
_RIGHTS = ("is_active", "is_staff", "is_superuser")
_WATCHED = frozenset((*_NAMES, *_RIGHTS, "password"))


def watch() -> None:
    """Begin to record; called once when the apps are ready."""
    m2m_changed.connect(
        _groups_changed, sender=User.groups.through, dispatch_uid="trail.people.groups"
    )
    pre_save.connect(_saved, sender=User, dispatch_uid="trail.people.saved")
    post_save.connect(_made, sender=User, dispatch_uid="trail.people.made")
    pre_delete.connect(_deleted, sender=User, dispatch_uid="trail.people.deleted")


def _saved(
    sender: object, instance: User, update_fields: Iterable[str] | None, **kwargs: Any
) -> None:
    written = _WATCHED if update_fields is None else _WATCHED.intersection(update_fields)
    if instance.pk is None or not written:
        return
    before = User.objects.filter(pk=instance.pk).values(*_WATCHED).first()
    if before is None:
        return
    after = {**before, **{name: getattr(instance, name) for name in written}}
    for event, names in ((RENAMED, _NAMES), (RIGHTS_CHANGED, _RIGHTS)):
        old = {name: before[name] for name in names}
        new = {name: after[name] for name in names}
        if old != new:
            record_noticed(event, instance, old=old, new=new)
    if before["password"] != after["password"] and not _is_rehash(instance, written):
        # Signatures rest on it; no value of it is ever kept.
        record_noticed(PASSWORD_CHANGED, instance)


def _made(sender: object, instance: User, created: bool, **kwargs: Any) -> None:
    if created and (instance.is_staff or instance.is_superuser):
        rights = {name: getattr(instance, name) for name in _RIGHTS}
        record_noticed(RIGHTS_CHANGED, instance, new=rights)


def _deleted(sender: object, instance: User, **kwargs: Any) -> None:
    roles = sorted(instance.groups.values_list("name", flat=True))
    record_noticed(DELETED, instance, old={"roles": roles})


def _is_rehash(user: User, written: Iterable[str]) -> bool:
    """Whether the same password is stored anew, as Django does when a login finds its hash old.

    Whoever sets another one leaves it on the instance until it is saved.
    """
    alone = set(written) == {"password"} and user.has_usable_password()
    return alone and getattr(user, "_password", None) is None


def _groups_changed(
    sender: object, instance: User | Group, action: str, pk_set: set[int] | None, **kwargs: Any
) -> None:
    if action not in ("post_add", "post_remove", "pre_clear"):
        return
    event = ROLES_GRANTED if action == "post_add" else ROLES_REMOVED
    for user, roles in _changes(instance, pk_set):
        record_noticed(event, user, new={"roles": roles})


def _changes(instance: User | Group, pk_set: set[int] | None) -> list[tuple[User, list[str]]]:
    """Who gained or lost which roles; the relation can be changed from either side."""
    if isinstance(instance, Group):
        users = instance.user_set.all() if pk_set is None else User.objects.filter(pk__in=pk_set)
        return [(user, [instance.name]) for user in users]
    groups = instance.groups.all() if pk_set is None else Group.objects.filter(pk__in=pk_set)
    names = sorted(groups.values_list("name", flat=True))
    return [(instance, names)] if names else []
