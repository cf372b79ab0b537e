"""A moment that somebody names, such as 2026-11-01T12:00Z."""

from __future__ import annotations

from datetime import UTC, datetime

from django.utils import timezone

from e2i_site.core.errors import InvalidInput

EXAMPLE = "2026-11-01T12:00Z"


def past_moment(text: str, *, field: str = "at") -> datetime:
    """The moment that `text` names, in UTC; a day alone is its beginning.

    UTC unless a zone is given. Raises `InvalidInput` for what is no moment, or is yet to come.
    """
    try:
        found = datetime.fromisoformat(text.strip())
        moment = (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise InvalidInput(
            f"“{text.strip()[:60]}” is no moment. Write it as {EXAMPLE}; without a zone it is "
            "UTC, and in an address a + is written %2B.",
            field=field,
        ) from error
    if moment > timezone.now():
        raise InvalidInput(
            f"{in_words(moment)} is yet to come; nobody knows the answer. Choose a moment up to "
            "now.",
            field=field,
        )
    return moment


def in_words(moment: datetime) -> str:
    """To the second where it has no parts of one, in UTC: 2026-11-01 12:00:00 UTC."""
    return f"{moment.astimezone(UTC).replace(tzinfo=None).isoformat(sep=' ')} UTC"


def in_address(moment: datetime) -> str:
    """As it is written into an address: exact, with Z and without a plus sign."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"
