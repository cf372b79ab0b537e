"""The people of the demo. One password for all, made at random for this installation."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from django.conf import settings
from django.contrib.auth.models import Group, User
from django.db import transaction

from e2i_site.core.roles import Role

NAMES = {
    "dana": "Dana Okafor",
    "rafael": "Rafael Duarte",
    "amina": "Amina Haddad",
    "deniz": "Deniz Kaya",
    "otto": "Otto Lindqvist",
    "vera": "Vera Novak",
    "admin": "Ada Minkova",
}
ROLES: dict[str, tuple[str, ...]] = {
    "dana": (Role.VIEWER, Role.REQUESTER),
    "rafael": (Role.VIEWER, Role.REVIEWER),
    "amina": (Role.VIEWER, Role.APPROVER),
    "deniz": (Role.VIEWER, Role.DEPLOYER),
    "otto": (Role.VIEWER, Role.AUDITOR),
    "vera": (Role.VIEWER,),
    "admin": (Role.ADMINISTRATOR,),
}


def password_file() -> Path:
    return Path(settings.DATA_DIR) / "demo-password"


def password() -> str:
    """The demo password; made on first use, readable by the owner of the process only."""
    path = password_file()
    if not path.exists():
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(secrets.token_urlsafe(12))
    return path.read_text(encoding="utf-8").strip()


@transaction.atomic
def ensure() -> dict[str, User]:
    """The demo people by name, made where they are missing. Existing accounts are not touched."""
    found = {user.username: user for user in User.objects.filter(username__in=ROLES)}
    for name, roles in ROLES.items():
        if name in found:
            continue
        first, _, last = NAMES[name].partition(" ")
        user = User(username=name, email=f"{name}@example.org", first_name=first, last_name=last)
        user.is_staff = user.is_superuser = name == "admin"
        user.set_password(password())
        user.save()
        user.groups.set(Group.objects.filter(name__in=roles))
        found[name] = user
    return found


def logins() -> list[str]:
    """Lines that tell how to log in."""
    names = [
        f"  {name:8} {', '.join(role for role in roles if role != Role.VIEWER) or 'viewer'}"
        for name, roles in ROLES.items()
    ]
    return [f"Demo logins, all with the password {password()}", *names]
