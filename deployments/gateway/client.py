"""How workers talk to the gateway: health, what it serves, and checks of one deployment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import httpx
from django.conf import settings

from deployments.gateway.key import gateway_key
from e2i_site.core.errors import E2IError

_KEY_HEADER = "E2I-Gateway-Key"


class GatewayAway(E2IError):
    """The gateway gave no answer, or had no thread for one. It says nothing about any model."""


@dataclass(frozen=True)
class Reply:
    """`ok` for 200; `refused` when the model cannot be loaded at all, as opposed to not yet."""

    ok: bool
    refused: bool
    detail: str
    content: Any


class GatewayClient:
    """A client for the gateway at `url`, by default the configured one."""

    def __init__(self, url: str = "", *, timeout: float = 10.0) -> None:
        self._url = (url or settings.GATEWAY_URL).rstrip("/")
        self._timeout = timeout

    def version(self, endpoint: str) -> Reply:
        """{"active": {...} or null, "shadow": ...} as the gateway has them in memory."""
        return self._call("GET", f"/{endpoint}/version")

    def check(self, endpoint: str, deployment: int) -> Reply:
        """Whether this deployment's model is verified and in memory."""
        return self._call("GET", f"/{endpoint}/deployments/{deployment}/ping")

    def try_example(self, endpoint: str, deployment: int, example: bytes) -> Reply:
        """The deployment's own answer to a request body; not counted as traffic."""
        return self._call(
            "POST", f"/{endpoint}/deployments/{deployment}/invocations", content=example
        )

    def _call(self, method: str, path: str, *, content: bytes | None = None) -> Reply:
        headers = {_KEY_HEADER: gateway_key(), "Content-Type": "application/json"}
        try:
            response = httpx.request(
                method, self._url + path, content=content, headers=headers, timeout=self._timeout
            )
            document = response.json()
        except (httpx.HTTPError, ValueError) as error:
            raise GatewayAway(
                f"The gateway at {self._url} does not answer ({type(error).__name__})."
            ) from error
        if response.status_code == 200:
            return Reply(True, False, "", document)
        if document.get("title") == "Busy":
            raise GatewayAway(f"The gateway at {self._url} is busy.")
        refused = document.get("title") == "Cannot be served"
        return Reply(False, refused, str(document.get("detail", "")), document)
