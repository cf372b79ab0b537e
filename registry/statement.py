"""What a signature states: who (printed name, account), when (UTC), what it means, and why."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from django.contrib.auth.models import User


def statement(
    facts: Mapping[str, Any], *, signer: User, meaning: str, reason: str, at: datetime
) -> dict[str, Any]:
    """The statement about `facts`, to be kept word for word with its `content_hash`.

    The signer's identity was proven before.
    """
    return {
        **facts,
        "signer": signer.pk,
        "username": signer.get_username(),
        "name": signer.get_full_name(),
        "meaning": meaning,
        "reason": reason,
        "signed_at": at.isoformat(),
    }
