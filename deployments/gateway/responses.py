"""Answers of the gateway that are not predictions, and the headers that say who predicted."""

from __future__ import annotations

from urllib.parse import quote

import orjson
from starlette.responses import Response

from deployments.gateway.routes import Target


class JSON(Response):
    media_type = "application/json"

    def render(self, content: object) -> bytes:
        return orjson.dumps(content)


def problem(
    status: int, title: str, detail: str, *, headers: dict[str, str] | None = None
) -> Response:
    """An RFC 9457 problem document."""
    body = orjson.dumps({"type": "about:blank", "title": title, "status": status, "detail": detail})
    return Response(
        body, status_code=status, media_type="application/problem+json", headers=headers
    )


def provenance(target: Target) -> dict[str, str]:
    """Which version, of which bytes, in which deployment."""
    return {
        "E2I-Model": quote(target.model, safe=""),
        "E2I-Model-Version": str(target.version),
        "E2I-Model-Digest": f"sha256:{target.digest}",
        "E2I-Deployment": str(target.deployment),
    }
