"""`Idempotency-Key` for unsafe API calls: the same key gives the same answer."""

from __future__ import annotations

import hashlib
import json
from datetime import timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from e2i_site.accounts.models import IdempotencyRecord
from e2i_site.core.problems import Conflicted, Unprocessable

HEADER = "Idempotency-Key"
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
KEEP = timedelta(days=1)
# A first call that has not been answered by then was cut off.
ABANDONED = timedelta(minutes=2)


class IdempotentMixin:
    """For DRF views. The first call's answer is stored and given again for a day."""

    def dispatch(self, request: Any, *args: Any, **kwargs: Any) -> Response:
        self._record: IdempotencyRecord | None = None
        response: Response = super().dispatch(request, *args, **kwargs)  # type: ignore[misc]
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
            return Response(exc.record.body, status=exc.record.status_code or 200)
        response: Response = super().handle_exception(exc)  # type: ignore[misc]
        return response


class _Answered(Exception):
    def __init__(self, record: IdempotencyRecord) -> None:
        self.record = record


def _begin(request: Request, key: str) -> IdempotencyRecord:
    if len(key) > 200:
        raise ValidationError({HEADER: ["A key has at most 200 characters."]})
    now = timezone.now()
    IdempotencyRecord.objects.filter(created_at__lt=now - KEEP).delete()
    mine = IdempotencyRecord.objects.filter(user_id=request.user.pk, key=key)
    mine.filter(status_code__isnull=True, created_at__lt=now - ABANDONED).delete()
    digest = _hash(request)
    try:
        with transaction.atomic():
            return IdempotencyRecord.objects.create(
                user_id=request.user.pk, key=key, request_hash=digest
            )
    except IntegrityError:
        known = mine.get()
    if known.request_hash != digest:
        raise Unprocessable(f"{HEADER} {key!r} was used for another request.")
    if known.status_code is None:
        raise Conflicted(f"The first request with {HEADER} {key!r} is still being answered.")
    raise _Answered(known)


def _keep(record: IdempotencyRecord, response: Response) -> None:
    """Store the answer; a server error is forgotten, so that the caller may try again."""
    if response.status_code >= 500:
        record.delete()
        return
    response.render()
    try:
        body = json.loads(response.rendered_content) if response.rendered_content else None
    except ValueError:
        body = None
    record.status_code, record.body = response.status_code, body
    record.save(update_fields=["status_code", "body"])


def _hash(request: Request) -> str:
    data = json.dumps(request.data, sort_keys=True, default=str)
    text = "\n".join((str(request.method), request.get_full_path(), data))
    return hashlib.sha256(text.encode()).hexdigest()
