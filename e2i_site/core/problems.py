"""API errors as RFC 9457 problem details."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404
from rest_framework import exceptions, status
from rest_framework.response import Response
from rest_framework.views import exception_handler

from e2i_site.core.errors import Conflict, InvalidInput, Refused

CONTENT_TYPE = "application/problem+json"


def handle(error: Exception, context: Mapping[str, Any]) -> Response | None:
    """DRF exception handler: {type, title, status, detail, errors} for every error."""
    known = _translate(error)
    response = exception_handler(known, dict(context))
    if response is None:
        return None
    title, detail, errors = _words(known)
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": title,
        "status": response.status_code,
        "detail": detail,
    }
    if errors:
        body["errors"] = errors
    request = context.get("request")
    if request is not None:
        body["instance"] = request.path
    response.data = body
    response.content_type = CONTENT_TYPE
    return response


class Conflicted(exceptions.APIException):
    status_code = status.HTTP_409_CONFLICT
    default_detail = "Somebody else changed the same thing first."


class Unprocessable(exceptions.APIException):
    status_code = status.HTTP_422_UNPROCESSABLE_ENTITY
    default_detail = "The request cannot be carried out."


def _translate(error: Exception) -> Exception:
    if isinstance(error, InvalidInput):
        return exceptions.ValidationError({error.field or "non_field_errors": [str(error)]})
    if isinstance(error, Refused):
        return exceptions.PermissionDenied(str(error))
    if isinstance(error, Conflict):
        return Conflicted(str(error))
    if isinstance(error, Http404):
        return exceptions.NotFound()
    if isinstance(error, PermissionDenied):
        return exceptions.PermissionDenied()
    return error


def _words(error: Exception) -> tuple[str, str, list[dict[str, str]]]:
    if isinstance(error, exceptions.ValidationError):
        errors = list(_flatten(error.detail))
        detail = " ".join(item["detail"] for item in errors)
        return "Invalid input", detail, errors
    if isinstance(error, exceptions.APIException):
        title = str(error.default_detail).rstrip(".")
        return title, str(error.detail), []
    return "Error", str(error), []


def _flatten(detail: Any, field: str = "") -> list[dict[str, str]]:
    if isinstance(detail, Mapping):
        return [
            item
            for name, value in detail.items()
            for item in _flatten(value, f"{field}.{name}" if field else str(name))
        ]
    if isinstance(detail, Sequence) and not isinstance(detail, str):
        return [item for value in detail for item in _flatten(value, field)]
    return [{"field": field, "detail": str(detail)}]
