"""What each person wants to hear. One's own wishes; nothing governed, so nothing for the trail."""

from __future__ import annotations

from collections.abc import Collection

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Exists
from django.db.models.expressions import Combinable
from django.utils import timezone

from e2i_site.core.errors import InvalidInput
from e2i_site.notifications import events
from e2i_site.notifications.models import Channel, ChannelChoice, InboxItem, Watch

MOST_WATCHES = 500


def watch(user: User, scope: str) -> None:
    """Tell the person what happens to `scope`, such as model:churn. InvalidInput beyond a limit."""
    if Watch.objects.filter(user=user).count() >= MOST_WATCHES:
        raise InvalidInput(f"You watch {MOST_WATCHES} models, the most one may watch.")
    Watch.objects.get_or_create(user=user, scope=scope)


def watched_by(user: User, scope: Combinable) -> Exists:
    """Whether the person watches the row that `scope` is an expression of, for its own query."""
    return Exists(Watch.objects.filter(user=user, scope=scope))


def unwatch(user: User, scope: str) -> None:
    """Tell the person no more."""
    Watch.objects.filter(user=user, scope=scope).delete()


def choices_of(user: User) -> dict[tuple[str, str], bool]:
    """{(event, channel): wanted} for every event and channel; what nobody chose is wanted."""
    chosen = {
        (choice.event, choice.channel): choice.wanted
        for choice in ChannelChoice.objects.filter(user=user)
    }
    return {
        (event.name, channel): chosen.get((event.name, channel), True)
        or (event.mandatory and channel == Channel.INBOX)
        for event in events.all_events()
        for channel in Channel.values
    }


@transaction.atomic
def choose(user: User, wanted: Collection[tuple[str, str]]) -> None:
    """Keep which (event, channel) pairs the person wants; all others are not wanted."""
    for event in events.all_events():
        for channel in Channel.values:
            ChannelChoice.objects.update_or_create(
                user=user,
                event=event.name,
                channel=channel,
                defaults={"wanted": (event.name, channel) in wanted},
            )


def mark_read(user: User, **which: object) -> int:
    """Mark the person's unread messages, or those that fit `which`; returns how many."""
    unread = InboxItem.objects.filter(user=user, read_at__isnull=True, **which)
    return unread.update(read_at=timezone.now())
