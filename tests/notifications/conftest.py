"""Receivers, and something to tell."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import transaction

from e2i_site.notifications import events
from e2i_site.notifications.models import Message
from e2i_site.notifications.notify import notify
from tests.notifications.receivers import (
    HTTPReceiver,
    SMTPReceiver,
    http_receiver,
    smtp_receiver,
)

TOLD = events.register("tests.thing.happened", "Something happened")
GRAVE = events.register("tests.thing.broke", "Something broke", mandatory=True)

PERSONAL = events.register("tests.thing.yours", "Something of mine", personal=True)


@pytest.fixture
def receiver(settings: Any) -> Iterator[HTTPReceiver]:
    """An HTTP receiver on this machine, allowed by the setting."""
    settings.WEBHOOK_ALLOWED_NETWORKS = [ipaddress.ip_network("127.0.0.1/32")]
    with http_receiver() as made:
        yield made


@pytest.fixture
def mail_server(settings: Any) -> Iterator[SMTPReceiver]:
    with smtp_receiver() as (made, port):
        settings.EMAIL_CONFIGURED = True
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", port
        settings.EMAIL_TIMEOUT = 5
        settings.DEFAULT_FROM_EMAIL = "E2I <e2i@models.example>"
        yield made


@pytest.fixture
def tell(people: Any) -> Callable[..., Message | None]:
    """`tell(recipients=[…])`: notify about a person, who stands for any object."""

    def send(event: str = TOLD, **given: Any) -> Message | None:
        given = {"subject": people.viewer, "actor": None, "title": "It happened", **given}
        with transaction.atomic():
            return notify(event, **given)

    return send
