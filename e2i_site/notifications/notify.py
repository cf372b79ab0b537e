"""Telling people: rows in the caller's transaction, carried outside by a job after it commits."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from django.conf import settings
from django.contrib.auth.models import User
from django.db import IntegrityError, connection, models, transaction
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from e2i_site.core.roles import Role
from e2i_site.jobs.enqueue import enqueue, hasten
from e2i_site.notifications import events
from e2i_site.notifications.models import (
    Channel,
    ChannelChoice,
    Delivery,
    InboxItem,
    Message,
    Watch,
    Webhook,
    Why,
)

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser

JOB_KIND = "notifications.deliver"
LONGEST_TEXT = 4000


def notify(
    event: str,
    *,
    subject: models.Model,
    title: str,
    text: str = "",
    url: str = "",
    recipients: Iterable[User] = (),
    audience: Iterable[str] = (),
    actor: AbstractBaseUser | AnonymousUser | None,
    scope: str = "",
    key: str = "",
) -> Message | None:
    """Tell `recipients`, everybody with a role in `audience`, and who watches the subject's scope.

    Who watches and shared webhooks hear nothing of a personal event. Called inside the
    transaction of what it tells. Whoever acted, and whoever has no role any more, is not told.
    `url` and `scope` ("model:churn") default to the subject's own page and `trail_scope`. With
    `key`, a second message of the same key is not made. Returns None when there is nobody to
    tell. Raises ValueError for an unregistered event and RuntimeError outside a transaction.
    """
    known = events.find(event)
    if not connection.in_atomic_block:
        raise RuntimeError("A notification must share a transaction with what it tells.")
    message = _message(event, subject, title, text, url, actor, scope, key)
    people = _people(recipients, audience, "" if known.personal else message.scope, actor)
    unwanted = _unwanted(event, people)
    if known.mandatory:
        unwanted = {(user, channel) for user, channel in unwanted if channel != Channel.INBOX}
    items = [
        InboxItem(message=message, user=user, why=_why(user))
        for user in people
        if (user.pk, Channel.INBOX) not in unwanted
    ]
    deliveries = [
        *_mails(message, people, unwanted),
        *_webhook_calls(message, people, unwanted, shared=not known.personal),
    ]
    if not items and not deliveries:
        return None
    try:
        with transaction.atomic():
            message.save(force_insert=True)
    except IntegrityError:
        return None
    InboxItem.objects.bulk_create(items)
    Delivery.objects.bulk_create(deliveries)
    if deliveries:
        ask_for_delivery(message)
    return message


def ask_for_delivery(message: Message) -> None:
    """Have a job carry the message's deliveries now; one unfinished job a message is enough."""
    pk = str(message.pk)
    job = enqueue(JOB_KIND, payload={"message": pk}, subject=f"message:{pk}", key=f"deliver:{pk}")
    hasten(job)  # it may be in a pause for the sake of another delivery


def _message(
    event: str,
    subject: models.Model,
    title: str,
    text: str,
    url: str,
    actor: AbstractBaseUser | AnonymousUser | None,
    scope: str,
    key: str,
) -> Message:
    own_page = getattr(subject, "get_absolute_url", None)
    return Message(
        event=event,
        # One line: it becomes the subject of a mail.
        title=" ".join(title.split())[:300],
        text=text[:LONGEST_TEXT],
        url=url or (own_page() if own_page else ""),
        subject_type=subject._meta.label_lower,
        subject_id=str(subject.pk),
        subject_label=str(subject)[:300],
        scope=scope or getattr(subject, "trail_scope", ""),
        actor_name=str(actor.get_username()) if actor is not None else "E2I",
        key=key,
        at=timezone.now(),
    )


def _people(
    recipients: Iterable[User],
    audience: Iterable[str],
    scope: str,
    actor: AbstractBaseUser | AnonymousUser | None,
) -> list[User]:
    """Who is told, each with `is_concerned`; one query."""
    groups = User.groups.through.objects.filter(user=OuterRef("pk"))
    direct = Q(pk__in=[user.pk for user in recipients])
    concerned = direct | Exists(groups.filter(group__name__in=list(audience)))
    watching = Exists(Watch.objects.filter(user=OuterRef("pk"), scope=scope, scope__gt=""))
    has_role = Exists(groups.filter(group__name__in=Role.values))
    return list(
        User.objects.filter(has_role, is_active=True)
        .annotate(
            is_concerned=models.Case(
                models.When(concerned, then=True), default=False, output_field=models.BooleanField()
            )
        )
        .filter(Q(is_concerned=True) | Q(watching))
        .exclude(pk=(actor and actor.pk) or 0)
        .order_by("pk")
    )


def _why(user: User) -> str:
    return Why.CONCERNS if getattr(user, "is_concerned", False) else Why.WATCH


def _unwanted(event: str, people: list[User]) -> set[tuple[int, str]]:
    chosen = ChannelChoice.objects.filter(event=event, user__in=people, wanted=False)
    return set(chosen.values_list("user_id", "channel"))


def _mails(
    message: Message, people: list[User], unwanted: set[tuple[int, str]]
) -> Iterable[Delivery]:
    if not settings.EMAIL_CONFIGURED:
        return
    for user in people:
        if user.email and (user.pk, Channel.EMAIL) not in unwanted:
            yield Delivery(
                message=message,
                channel=Channel.EMAIL,
                user=user,
                recipient=user.email,
                next_attempt_at=message.at,
            )


def _webhook_calls(
    message: Message, people: list[User], unwanted: set[tuple[int, str]], *, shared: bool
) -> Iterable[Delivery]:
    told = {user.pk for user in people if (user.pk, Channel.WEBHOOK) not in unwanted}
    mine = Q(owner__in=told)
    for webhook in Webhook.objects.filter(Q(owner=None) | mine if shared else mine):
        if webhook.scope not in ("", message.scope):
            continue
        if webhook.events and message.event not in webhook.events:
            continue
        yield Delivery(
            message=message,
            channel=Channel.WEBHOOK,
            webhook=webhook,
            recipient=f"{webhook.name} ({webhook.masked_url})"[:300],
            next_attempt_at=message.at,
        )
