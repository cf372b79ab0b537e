"""What the API's schema says of every operation: its errors, and how services sign in."""

from __future__ import annotations

import inspect
from typing import Any

from drf_spectacular.contrib.knox_auth_token import KnoxTokenScheme
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import ResolvedComponent
from drf_spectacular.utils import OpenApiParameter

from e2i_site.core.problems import CONTENT_TYPE

IDEMPOTENCY_KEY = OpenApiParameter(
    "Idempotency-Key",
    str,
    OpenApiParameter.HEADER,
    description="For a day, the same key gives the same answer and does nothing twice.",
)


_TEXT = {"type": "string"}
PROBLEM = {
    "type": "object",
    "description": "RFC 9457. `errors` names fields at fault, `reasons` the rules that say no.",
    "properties": {
        "type": _TEXT,
        "title": _TEXT,
        "status": {"type": "integer"},
        "detail": _TEXT,
        "instance": _TEXT,
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"field": _TEXT, "detail": _TEXT},
                "required": ["field", "detail"],
            },
        },
        "reasons": {"type": "array", "items": _TEXT},
    },
    "required": ["type", "title", "status", "detail", "instance"],
}


class ServiceTokenScheme(KnoxTokenScheme):  # type: ignore[misc, no-untyped-call, unused-ignore]
    target_class = "e2i_site.accounts.tokens.ServiceToken"


class Schema(AutoSchema):
    """Every operation answers problems; CSV is text, whatever the JSON is."""

    def get_description(self) -> str:  # type: ignore[override, unused-ignore]
        """Of the call itself; lists and single objects are described by their collection."""
        if getattr(self.view, "action", "") in ("list", "retrieve"):
            return inspect.getdoc(type(self.view)) or ""
        return str(super().get_description())  # type: ignore[no-untyped-call, unused-ignore]

    def get_override_parameters(self) -> list[Any]:
        given = list(super().get_override_parameters())  # type: ignore[no-untyped-call, unused-ignore]
        return given if self.method == "GET" else [*given, IDEMPOTENCY_KEY]

    def _get_response_bodies(self, direction: Any = "response") -> dict[str, Any]:
        bodies: dict[str, Any] = super()._get_response_bodies(direction)  # type: ignore[no-untyped-call, unused-ignore]
        for body in bodies.values():
            if "text/csv" in body.get("content", {}):
                body["content"]["text/csv"] = {"schema": {"type": "string"}}
        bodies["default"] = {
            "description": "What went wrong.",
            "content": {CONTENT_TYPE: {"schema": self._problem()}},
        }
        return bodies

    def _problem(self) -> dict[str, Any]:
        component = ResolvedComponent(  # type: ignore[no-untyped-call, unused-ignore]
            name="Problem", type=ResolvedComponent.SCHEMA, schema=PROBLEM, object="Problem"
        )
        self.registry.register_on_missing(component)
        return dict(component.ref)
