"""Who acts by a command: an account, named by an option."""

from __future__ import annotations

import getpass
import os
from argparse import ArgumentParser

from django.contrib.auth.models import User
from django.core.management.base import CommandError


def add_user(parser: ArgumentParser, does: str) -> None:
    """The option --user; `does` says what the account does: "asks"."""
    parser.add_argument(
        "--user",
        default=os.environ.get("E2I_USER") or getpass.getuser(),
        help=f"the account that {does}; else E2I_USER, else the name of the system's user",
    )


def user(name: str) -> User:
    """The active account `name`; CommandError where there is none."""
    found = User.objects.filter(username=name, is_active=True).first()
    if found is None:
        raise CommandError(
            f"No active account is called {name!r}; name one with --user or E2I_USER.", returncode=2
        )
    return found
