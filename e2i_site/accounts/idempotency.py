"""`Idempotency-Key` for unsafe API calls: the same key has one effect and one answer."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.http import HttpRequest, HttpResponseBase
from django.utils import timezone
from django.utils.crypto import salted_hmac
from rest_framework.exceptions import ValidationError
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from e2i_site.accounts.models import IdempotencyRecord
from e2i_site.core.problems import Unprocessable

HEADER = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
KEEP = timedelta(days=1)
MAX_LENGTH = 200


class IdempotentMixin:
    """For DRF views. The answer of a call that did something is given again for a day.

    The record is written in the transaction of the call itself: it is there if and only if the
    effect is, and a second call that comes meanwhile waits for the first. A call that was refused
    did nothing and leaves no record.
    """

    _record: IdempotencyRecord | None = None

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        parent = super().dispatch  # type: ignore[misc]
        if request.method in SAFE or not request.headers.get(HEADER):
            response: HttpResponseBase = parent(request, *args, **kwargs)
            return response
        with transaction.atomic():
            response = parent(request, *args, **kwargs)
            if self._record is not None:
                _keep(self._record, response)
        return response

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)  # type: ignore[misc]
        key = request.headers.get(HEADER, "")
        if key and request.method not in SAFE:
            self._record = _begin(request, key)

    def handle_exception(self, exc: Exception) -> Response:
        if isinstance(exc, _Answered):
            known = exc.record
            return Response(known.body, status=known.status_code, headers={REPLAYED: "true"})
        response: Response = super().handle_exception(exc)  # type: ignore[misc]
        return response


class _Answered(Exception):
    def __init__(self, record: IdempotencyRecord) -> None:
        self.record = record


def _begin(request: Request, key: str) -> IdempotencyRecord:
    if len(key) > MAX_LENGTH or not key.isprintable():
        raise ValidationError({HEADER: [f"A key has at most {MAX_LENGTH} printable characters."]})
    IdempotencyRecord.objects.filter(created_at__lt=timezone.now() - KEEP).delete()
    mine = {"user_id": request.user.pk, "key": key}
    digest = _hash(request)
    try:
        with transaction.atomic():
            return IdempotencyRecord.objects.create(**mine, request_hash=digest)
    except IntegrityError:
        known = IdempotencyRecord.objects.get(**mine)
    if known.request_hash != digest:
        raise Unprocessable(f"{HEADER} {key!r} was used for another request.")
    raise _Answered(known)


def _keep(record: IdempotencyRecord, response: HttpResponseBase) -> None:
    if not isinstance(response, Response) or response.status_code >= 400:
        record.delete()
        return
    record.status_code = response.status_code
    record.body = json.loads(JSONRenderer().render(response.data) or b"null")
    record.save(update_fields=["status_code", "body"])


def _hash(request: Request) -> str:
    """Keyed, because a body may hold a password that nobody must be able to guess from the hash."""
    data = json.dumps(request.data, sort_keys=True, default=str)
    text = "\n".join((str(request.method), request.get_full_path(), data))
    value = text.encode(errors="surrogatepass")
    return salted_hmac("e2i.idempotency", value, algorithm="sha256").hexdigest()
