"""Add, remove and renew webhooks."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction

from e2i_site.core.errors import InvalidInput, Refused
from e2i_site.notifications import events, trail_events
from e2i_site.notifications.models import Webhook, WebhookKind
from e2i_site.notifications.outgoing import AddressRefused, NotDelivered, resolve
from e2i_site.notifications.policies import MOST_OWN_WEBHOOKS, may_keep_webhook
from e2i_site.trail.record import record


def add_webhook(
    *,
    actor: User,
    name: str,
    url: str,
    kind: str = WebhookKind.SIGNED,
    shared: bool = False,
    scope: str = "",
    wanted_events: Sequence[str] = (),
) -> Webhook:
    """Keep an address that is told: the actor's own, or a shared one.

    Raises Refused, or InvalidInput for an address that is none, that cannot be resolved or that
    must not be reached. Whether it is allowed is looked at again in each delivery.
    """
    owner = None if shared else actor
    may_keep_webhook(actor, owner.pk if owner else None).enforce()
    if kind not in WebhookKind.values:
        raise InvalidInput(f"No webhook is of the kind {kind!r}.", field="kind")
    if not name.strip():
        raise InvalidInput("Give it a name.", field="name")
    if unknown := [event for event in wanted_events if not events.is_registered(event)]:
        raise InvalidInput(f"No event is called {unknown[0]!r}.", field="events")
    try:
        resolve(url.strip(), settings.WEBHOOK_ALLOWED_NETWORKS)
    except (AddressRefused, NotDelivered) as error:
        raise InvalidInput(str(error), field="url") from None
    with transaction.atomic():
        if owner is not None:
            # Locked, so that two requests at once do not both find room.
            User.objects.select_for_update().get(pk=owner.pk)
            if Webhook.objects.filter(owner=owner).count() >= MOST_OWN_WEBHOOKS:
                raise Refused([f"You have {MOST_OWN_WEBHOOKS} webhooks, the most one may have."])
        webhook = Webhook.objects.create(
            name=name.strip(),
            url=url.strip(),
            kind=kind,
            owner=owner,
            scope=scope,
            events=list(wanted_events),
        )
        record(trail_events.WEBHOOK_ADDED, actor=actor, subject=webhook, new=_facts(webhook))
    return webhook


@transaction.atomic
def remove_webhook(*, webhook: Webhook, actor: User) -> None:
    """Tell this address no more; its deliveries stay in the log. Raises Refused."""
    webhook = Webhook.objects.select_for_update().get(pk=webhook.pk)
    may_keep_webhook(actor, webhook.owner_id).enforce()
    record(trail_events.WEBHOOK_REMOVED, actor=actor, subject=webhook, old=_facts(webhook))
    webhook.delete()


@transaction.atomic
def renew_secret(*, webhook: Webhook, actor: User) -> Webhook:
    """Sign with another secret from now on; the old one is worth nothing. Raises Refused."""
    webhook = Webhook.objects.select_for_update().get(pk=webhook.pk)
    may_keep_webhook(actor, webhook.owner_id).enforce()
    if webhook.kind != WebhookKind.SIGNED:
        raise InvalidInput("Only signed webhooks have a secret.")
    webhook.salt = secrets.token_urlsafe()
    webhook.save(update_fields=["salt"])
    record(trail_events.SECRET_RENEWED, actor=actor, subject=webhook)
    return webhook


def _facts(webhook: Webhook) -> dict[str, object]:
    return {
        "kind": webhook.kind,
        "url": webhook.masked_url,
        "shared": webhook.owner_id is None,
        "scope": webhook.scope,
        "events": webhook.events,
    }
