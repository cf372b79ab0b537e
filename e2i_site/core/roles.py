"""The seven roles. They are Django groups; `accounts` creates them in a migration."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import models

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser


class Role(models.TextChoices):
    VIEWER = "viewer", "Viewer"
    REQUESTER = "requester", "Requester (data scientist)"
    REVIEWER = "reviewer", "Reviewer"
    APPROVER = "approver", "Approver"
    DEPLOYER = "deployer", "Deployer"
    AUDITOR = "auditor", "Auditor"
    ADMINISTRATOR = "administrator", "Administrator"


def roles_of(user: AbstractBaseUser | AnonymousUser) -> frozenset[str]:
    """Names of the user's roles; one query a user object, then remembered on it.

    A superuser has no role for free: governance asks for a group that somebody gave.
    """
    from django.contrib.auth.models import Group

    if not user.is_authenticated:
        return frozenset()
    cached: frozenset[str] | None = getattr(user, "_e2i_roles", None)
    if cached is None:
        cached = frozenset(Group.objects.filter(user=user.pk).values_list("name", flat=True))
        setattr(user, "_e2i_roles", cached)  # noqa: B010 - an attribute of ours, not the user's
    return cached


def has_role(user: AbstractBaseUser | AnonymousUser, *roles: str) -> bool:
    """True when the user holds at least one of `roles`."""
    return not roles_of(user).isdisjoint(roles)
