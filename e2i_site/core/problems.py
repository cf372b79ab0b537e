"""Errors of the API as problem details (RFC 9457), whatever went wrong and wherever."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.views import defaults
from rest_framework import exceptions, status
from rest_framework.views import exception_handler

from e2i_site.core.errors import Conflict, InvalidInput, Refused

CONTENT_TYPE = "application/problem+json"
API = "/api/"


class Conflicted(exceptions.APIException):
    status_code = status.HTTP_409_CONFLICT
    default_detail = "Somebody else changed the same thing first."


class TooLarge(exceptions.APIException):
    status_code = status.HTTP_413_REQUEST_ENTITY_TOO_LARGE
    default_detail = "The body is too large."


class Unprocessable(exceptions.APIException):
    status_code = status.HTTP_422_UNPROCESSABLE_ENTITY
    default_detail = "The request cannot be carried out."


def problem(request: HttpRequest, status_code: int, detail: str, **more: Any) -> JsonResponse:
    """{type, title, status, detail, instance}, and the members of `more` that say anything."""
    body = {
        "type": "about:blank",
        "title": HTTPStatus(status_code).phrase,
        "status": status_code,
        "detail": detail,
        "instance": request.path,
        **{name: value for name, value in more.items() if value},
    }
    return JsonResponse(body, status=status_code, content_type=CONTENT_TYPE)


def handle(error: Exception, context: Mapping[str, Any]) -> HttpResponse | None:
    """DRF's exception handler. None for a fault of ours, which `server_error` answers.

    `errors` names the fields at fault, `reasons` the rules that say no.
    """
    request = context["request"]
    known = _translate(error, request.path)
    response = exception_handler(known, dict(context))
    if response is None or not isinstance(known, exceptions.APIException):
        return None
    errors, detail = [], str(known.detail)
    if isinstance(known, exceptions.ValidationError):
        errors = list(_flatten(known.detail))
        detail = " ".join(dict.fromkeys(each["detail"] for each in errors))
    if isinstance(error, InvalidInput) and error.details:
        errors = [dict(each) for each in error.details]
    reasons = list(error.reasons) if isinstance(error, Refused) else []
    answer = problem(request, response.status_code, detail, errors=errors, reasons=reasons)
    for name, value in response.headers.items():
        answer.headers.setdefault(name, value)
    return answer


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's handler400: a request that Django itself refuses."""
    if request.path.startswith(API):
        return problem(request, 400, "The request cannot be read.")
    return defaults.bad_request(request, exception)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's handler404: an address that leads nowhere."""
    if request.path.startswith(API):
        return problem(request, 404, f"Nothing is at {request.path}.")
    return defaults.page_not_found(request, exception)


def server_error(request: HttpRequest) -> HttpResponse:
    """Django's handler500: a fault of ours; the log has it under the answer's request id."""
    if request.path.startswith(API):
        return problem(request, 500, "E2I failed to answer. Nothing was changed.")
    return defaults.server_error(request)


def _translate(error: Exception, path: str) -> Exception:
    if isinstance(error, InvalidInput):
        return exceptions.ValidationError({error.field or "non_field_errors": [str(error)]})
    if isinstance(error, Refused):
        return exceptions.PermissionDenied(str(error))
    if isinstance(error, Conflict):
        return Conflicted(str(error))
    if isinstance(error, Http404):
        return exceptions.NotFound(f"Nothing is at {path}.")
    if isinstance(error, PermissionDenied):
        return exceptions.PermissionDenied()
    return error


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
