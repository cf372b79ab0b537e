"""API tokens made and revoked are recorded, whichever way it was done."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.db.models.signals import post_delete, post_save
from knox.models import AuthToken

from e2i_site.trail import context
from e2i_site.trail.events import register
from e2i_site.trail.record import record

TOKEN_MADE = register("accounts.token.made", "API token made")
TOKEN_REVOKED = register("accounts.token.revoked", "API token revoked")


def watch() -> None:
    """Begin to record; called once when the apps are ready."""
    post_save.connect(_made, sender=AuthToken, dispatch_uid="trail.tokens.made")
    post_delete.connect(_revoked, sender=AuthToken, dispatch_uid="trail.tokens.revoked")


def _made(sender: object, instance: AuthToken, created: bool, **kwargs: Any) -> None:
    # Knox saves a token again when it extends its life.
    if created:
        facts = {"token_key": instance.token_key, "expiry": instance.expiry}
        _record(TOKEN_MADE, instance, new=facts)


def _revoked(sender: object, instance: AuthToken, **kwargs: Any) -> None:
    _record(TOKEN_REVOKED, instance, old={"token_key": instance.token_key})


def _record(event: str, token: AuthToken, **facts: dict[str, Any]) -> None:
    with transaction.atomic():
        record(event, actor=context.current().actor, subject=token.user, **facts)
