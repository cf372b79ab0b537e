"""API tokens made and revoked are recorded, whichever way it was done."""

from __future__ import annotations

from typing import Any

from django.db.models.signals import post_delete, post_save
from knox.models import AuthToken

from e2i_site.trail.events import register
from e2i_site.trail.record import record_noticed

TOKEN_MADE = register("accounts.token.made", "API token made")
TOKEN_REVOKED = register("accounts.token.revoked", "API token revoked")


def watch() -> None:
    """Begin to record; called once when the apps are ready."""
    post_save.connect(_made, sender=AuthToken, dispatch_uid="trail.tokens.made")
    post_delete.connect(_revoked, sender=AuthToken, dispatch_uid="trail.tokens.revoked")


def _made(sender: object, instance: AuthToken, created: bool, **kwargs: Any) -> None:
    # Knox saves a token again when it extends its life.
    if created:
        record_noticed(TOKEN_MADE, instance.user, new={**_key(instance), "expiry": instance.expiry})


def _revoked(sender: object, instance: AuthToken, **kwargs: Any) -> None:
    record_noticed(TOKEN_REVOKED, instance.user, old=_key(instance))


def _key(token: AuthToken) -> dict[str, Any]:
    return {"token_key": token.token_key}
