"""The guard as ASGI middleware, outermost around MLflow's application."""

from __future__ import annotations

import hmac
import json
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from e2i_site.mlflow_connector.guard.calls import Fields
from e2i_site.mlflow_connector.guard.governed import GovernedFile
from e2i_site.mlflow_connector.guard.rules import rule_for

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

HEADER = "E2I-Guard-Token"
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
logger = logging.getLogger(__name__)


class Guard:
    """Refuses changes to what E2I governs, unless they carry E2I's token.

    Reading is passed on unread, and so is every other change that no rule is about.
    """

    def __init__(self, app: App, *, token: str, listing: GovernedFile) -> None:
        self._app = app
        self._token = token.encode()
        self._listing = listing

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        rule = (
            rule_for(scope["method"], scope["path"])
            if scope["type"] == "http" and scope["method"] not in _SAFE
            else None
        )
        if rule is None or self._is_from_e2i(scope):
            return await self._app(scope, receive, send)
        body = b""
        if "/mlflow-artifacts/" not in scope["path"] and "upload-artifact" not in scope["path"]:
            read = await _read(receive)
            if read is None:
                return None
            body, receive = read, _again(read, receive)
        refusal = rule(self._listing.current(), Fields(scope["query_string"], body))
        if refusal is None:
            return await self._app(scope, receive, send)
        logger.warning("Refused %s %s: %s", scope["method"], scope["path"], refusal)
        return await _refuse(send, refusal)

    def _is_from_e2i(self, scope: Message) -> bool:
        name = HEADER.lower().encode()
        given = [value for key, value in scope["headers"] if key == name]
        return len(given) == 1 and hmac.compare_digest(given[0], self._token)


async def _read(receive: Receive) -> bytes | None:
    """The whole body, as MLflow itself would collect it; None when the caller has gone."""
    chunks = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        chunks.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(chunks)


def _again(body: bytes, receive: Receive) -> Receive:
    """Gives the body that was read, then whatever comes after it."""
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


async def _refuse(send: Send, reason: str) -> None:
    """Answer as MLflow does, so that its clients show the reason."""
    body = json.dumps({"error_code": "PERMISSION_DENIED", "message": reason}).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
    ]
    await send({"type": "http.response.start", "status": 403, "headers": headers})
    await send({"type": "http.response.body", "body": body})
