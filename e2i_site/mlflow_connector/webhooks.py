"""MLflow's webhooks: registering ours, having it tested, and verifying what arrives."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from e2i_site.core.errors import E2IError
from e2i_site.mlflow_connector.transport import API, single_attempt

if TYPE_CHECKING:
    from e2i_site.mlflow_connector.connector import MLflowConnector

#: All that MLflow sends about models; it sends nothing about runs.
EVENTS = (
    ("registered_model", "created"),
    ("model_version", "created"),
    ("model_version_tag", "set"),
    ("model_version_tag", "deleted"),
    ("model_version_alias", "created"),
    ("model_version_alias", "deleted"),
)
#: Seconds that the sender's clock may differ; what is older may be a replay.
SKEW = 300
_NAME = "e2i"


class BadDelivery(E2IError):
    """A delivery that must not be believed. `code` is short, for counting."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Webhook:
    """A webhook as MLflow has it; it does not tell the secret."""

    webhook_id: str
    url: str
    active: bool
    events: frozenset[tuple[str, str]]

    @property
    def is_whole(self) -> bool:
        """True when it sends everything that E2I listens to."""
        return self.active and set(EVENTS) <= self.events

    @classmethod
    def parse(cls, data: dict[str, Any]) -> Webhook:
        events = data.get("events") or []
        return cls(
            webhook_id=data["webhook_id"],
            url=data.get("url", ""),
            active=data.get("status", "ACTIVE") == "ACTIVE",
            events=frozenset(
                (each.get("entity", "").lower(), each.get("action", "").lower()) for each in events
            ),
        )


@dataclass(frozen=True)
class WebhookTest:
    """What MLflow says of a delivery that it was asked to try."""

    success: bool
    detail: str


@dataclass(frozen=True)
class Delivery:
    """A verified delivery. `data` names the model, and what of it changed."""

    delivery_id: str
    entity: str
    action: str
    sent_at: datetime
    data: dict[str, Any]


def find(connector: MLflowConnector, url: str, webhook_id: str = "") -> list[Webhook]:
    """Webhooks that point to `url`, and the one of that id wherever it points."""
    found, token = [], None
    with single_attempt():
        while True:
            data = connector.transport.get("webhooks", max_results=100, page_token=token)
            found += [Webhook.parse(each) for each in data.get("webhooks") or []]
            token = data.get("next_page_token")
            if not token:
                return [each for each in found if each.url == url or each.webhook_id == webhook_id]


def create(connector: MLflowConnector, url: str, secret: str) -> Webhook:
    """Register one that sends everything to `url`, signed with `secret`."""
    body = {
        "name": _NAME,
        "description": "Tells E2I what changed in the registry.",
        "status": "ACTIVE",
        **_content(url, secret),
    }
    with single_attempt():
        data = connector.transport.json("POST", f"{API}webhooks", repeat=False, body=body)
    return Webhook.parse(data["webhook"])


def update(connector: MLflowConnector, webhook_id: str, url: str, secret: str) -> None:
    """Make it active, whole, and signed with `secret`."""
    body = {"status": "ACTIVE", **_content(url, secret)}
    path = f"{API}webhooks/{webhook_id}"
    with single_attempt():
        connector.transport.json("PATCH", path, repeat=True, body=body)


def delete(connector: MLflowConnector, webhook_id: str) -> None:
    with single_attempt():
        connector.transport.write("DELETE", f"webhooks/{webhook_id}")


def test(connector: MLflowConnector, webhook_id: str) -> WebhookTest:
    """Have MLflow send an example, and hear what became of it."""
    with single_attempt():
        data = connector.transport.json(
            "POST", f"{API}webhooks/{webhook_id}/test", repeat=False, body={}
        )
    result = data.get("result") or {}
    answered = (
        f"It was answered with {result['response_status']}."
        if ("response_status" in result)
        else ""
    )
    detail = str(result.get("error_message") or answered or "MLflow does not tell.")
    return WebhookTest(bool(result.get("success")), detail[:500])


def _content(url: str, secret: str) -> dict[str, Any]:
    events = [{"entity": entity.upper(), "action": action.upper()} for entity, action in EVENTS]
    return {"url": url, "events": events, "secret": secret}


def signature(secret: str, delivery_id: str, timestamp: str, body: bytes) -> str:
    """`v1,<base64 of HMAC-SHA256(secret, "id.timestamp.body")>`, over the bytes as they came."""
    signed = f"{delivery_id}.{timestamp}.".encode() + body
    digest = hmac.new(secret.encode(), signed, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}"


def verify(headers: Mapping[str, str], body: bytes, secret: str, now: float) -> Delivery:
    """What a delivery says, once its signature and its time are right.

    Args:
        headers: the request's; names in any case when the mapping allows it.
        body: the raw bytes.
        now: seconds since 1970.

    Raises:
        BadDelivery: it is not MLflow's, too old, or not understood.
    """
    delivery_id = headers.get("X-MLflow-Delivery-Id", "")
    timestamp = headers.get("X-MLflow-Timestamp", "")
    given = headers.get("X-MLflow-Signature", "")
    if not delivery_id or len(delivery_id) > 64 or not timestamp or not given:
        raise BadDelivery("unsigned", "A delivery needs its id, time and signature.")
    expected = signature(secret, delivery_id, timestamp, body)
    if not hmac.compare_digest(expected.encode(), given.encode("utf-8", "replace")):
        raise BadDelivery("signature", "The signature does not fit.")
    if not timestamp.isascii() or not timestamp.isdigit() or abs(now - int(timestamp)) > SKEW:
        raise BadDelivery("time", f"Its time is more than {SKEW} s away from ours.")
    return _parse(delivery_id, int(timestamp), body)


def _parse(delivery_id: str, timestamp: int, body: bytes) -> Delivery:
    try:
        content = json.loads(body.replace(b"\\u0000", b""))  # no database keeps NUL
        data = content["data"]
        if not isinstance(data, dict):
            raise TypeError
        return Delivery(
            delivery_id=delivery_id,
            entity=str(content["entity"])[:40],
            action=str(content["action"])[:20],
            sent_at=_moment(content.get("timestamp"), timestamp),
            data=data,
        )
    except (ValueError, KeyError, TypeError):
        raise BadDelivery("content", "The delivery is not understood.") from None


def _moment(text: Any, timestamp: int) -> datetime:
    """The event's own time, to the microsecond, else that of the sending."""
    try:
        moment = datetime.fromisoformat(str(text))
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    except ValueError:
        return datetime.fromtimestamp(timestamp, UTC)
