"""How a delivery leaves: by mail, as a signed call, as a Slack message."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import smtplib
import time
from typing import Any

from django.conf import settings
from django.core.mail import EmailMessage
from django.urls import reverse

from e2i_site.core.errors import E2IError, InvalidInput
from e2i_site.mlflow_connector.masking import mask_text
from e2i_site.notifications.models import Channel, Delivery, Message, WebhookKind
from e2i_site.notifications.outgoing import AddressRefused, NotDelivered, Reply, post

SIGNATURE_HEADER = "X-E2I-Signature"
TIMESTAMP_HEADER = "X-E2I-Timestamp"
DELIVERY_HEADER = "X-E2I-Delivery-Id"
# Answers that may be better next time.
_TRY_AGAIN = frozenset({408, 409, 425, 429})


class Undeliverable(E2IError):
    """Trying again would end the same way."""


def send(delivery: Delivery) -> None:
    """Deliver once. Raises Undeliverable, or NotDelivered when it may work later."""
    if delivery.channel == Channel.EMAIL:
        _send_mail(delivery)
    else:
        _call_webhook(delivery)


def sign(secret: str, delivery_id: str, timestamp: str, body: str) -> str:
    """`v1,` and the base64 of HMAC-SHA256 over `id.timestamp.body`, as MLflow's webhooks sign."""
    content = f"{delivery_id}.{timestamp}.{body}".encode()
    made = hmac.new(secret.encode(), content, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(made).decode()}"


def as_json(message: Message, delivery_id: str) -> dict[str, Any]:
    """The body of a signed call."""
    return {
        "id": delivery_id,
        "event": message.event,
        "at": message.at.isoformat(),
        "title": message.title,
        "text": message.text,
        "url": message.absolute_url,
        "subject": {
            "type": message.subject_type,
            "id": message.subject_id,
            "label": message.subject_label,
        },
        "scope": message.scope,
        "actor": message.actor_name,
    }


def as_slack(message: Message) -> dict[str, Any]:
    """The body of a Slack-compatible call; what people typed cannot mention or link."""
    lines = [f"*{_escaped(message.title)}*", _escaped(message.text)]
    lines.append(f"<{message.absolute_url}|Open in E2I>")
    return {"text": "\n".join(line for line in lines if line)}


def _send_mail(delivery: Delivery) -> None:
    user, message = delivery.user, delivery.message
    if user is None or not user.is_active or not user.email:
        raise Undeliverable("The person has no active account with a mail address any more.")
    sender = settings.DEFAULT_FROM_EMAIL
    domain = sender.rpartition("@")[2].strip(">") or "localhost"
    mail = EmailMessage(
        subject=message.title,
        body=f"{message.text}\n\n{message.absolute_url}\n\n{_choices()}\n".lstrip(),
        from_email=sender,
        to=[user.email],
        headers={
            # The same in each attempt: mail servers and readers drop a repetition.
            "Message-ID": f"<{delivery.token}@{domain}>",
            "Auto-Submitted": "auto-generated",
            "X-E2I-Event": message.event,
        },
    )
    try:
        mail.send()
    except smtplib.SMTPRecipientsRefused as error:
        code, words = next(iter(error.recipients.values()))
        _smtp_failure(code, words)
    except smtplib.SMTPResponseException as error:
        _smtp_failure(error.smtp_code, error.smtp_error)
    except (OSError, smtplib.SMTPException) as error:
        raise NotDelivered(f"The mail server: {mask_text(str(error))}") from None


def _choices() -> str:
    """Where one chooses to be told less."""
    page = reverse("notifications:preferences")
    return f"-- \nWhat you are told: {settings.SITE_URL.rstrip('/')}{page}"


def _smtp_failure(code: int, words: bytes | str) -> None:
    text = words.decode(errors="replace") if isinstance(words, bytes) else words
    sentence = f"The mail server answered {code}: {mask_text(text)}"
    # A refused login (535) is the site's fault and may be mended; the others are final.
    if 500 <= code < 600 and code not in (530, 534, 535):
        raise Undeliverable(sentence)
    raise NotDelivered(sentence)


def _call_webhook(delivery: Delivery) -> None:
    webhook = delivery.webhook
    if webhook is None:
        raise Undeliverable("The webhook was removed.")
    token = str(delivery.token)
    slack = webhook.kind == WebhookKind.SLACK
    content = as_slack(delivery.message) if slack else as_json(delivery.message, token)
    body = json.dumps(content, separators=(",", ":"), ensure_ascii=False)
    headers = {"Content-Type": "application/json; charset=utf-8", "User-Agent": "E2I"}
    if not slack:
        timestamp = str(int(time.time()))
        headers |= {
            DELIVERY_HEADER: token,
            TIMESTAMP_HEADER: timestamp,
            SIGNATURE_HEADER: sign(webhook.secret, token, timestamp, body),
        }
    try:
        reply = post(webhook.url, body.encode(), headers, allowed=settings.WEBHOOK_ALLOWED_NETWORKS)
    except (AddressRefused, InvalidInput) as error:
        raise Undeliverable(str(error)) from None
    _judge(reply)


def _judge(reply: Reply) -> None:
    if 200 <= reply.status < 300:
        return
    # What the other side wrote stays unread: it must not reach our pages through a private host.
    sentence = f"It answered {reply.status}"
    if 300 <= reply.status < 400:
        raise Undeliverable(f"{sentence}, a redirect; redirects are not followed.")
    if 400 <= reply.status < 500 and reply.status not in _TRY_AGAIN:
        raise Undeliverable(f"{sentence}.")
    raise NotDelivered(f"{sentence}.")


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
