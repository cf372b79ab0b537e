"""Pages of an API's list by the position of the last row: as quick at the end as at the start.

Nothing is counted and nothing skipped. Rows that come or go meanwhile move none of the others.
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.core.exceptions import ValidationError as Invalid
from django.db.models import F, Field, Model, Q, QuerySet
from django.db.models.expressions import OrderBy
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import remove_query_param, replace_query_param

from e2i_site.core.listing import Pages

PARAMETER = "cursor"
_LONGEST = 2000
#: Entries of the order that are looked through before everything that fits is gathered.
WALK = 2000


@dataclass(frozen=True)
class Key:
    """One field of an order; rows without a value come last in either direction."""

    field: Field[Any, Any]
    descending: bool

    @property
    def name(self) -> str:
        return self.field.attname

    def order(self) -> OrderBy:
        key = F(self.name)
        nulls_last = True if self.field.null else None
        return (
            key.desc(nulls_last=nulls_last) if self.descending else key.asc(nulls_last=nulls_last)
        )

    def same(self, value: Any) -> Q:
        return Q(**{f"{self.name}__isnull": True}) if value is None else Q(**{self.name: value})

    def further(self, value: Any) -> Q | None:
        """Rows after the value; None when there cannot be any."""
        if value is None:
            return None
        beyond = Q(**{f"{self.name}__{'lt' if self.descending else 'gt'}": value})
        return beyond | Q(**{f"{self.name}__isnull": True}) if self.field.null else beyond


def keys_of(queryset: QuerySet[Any]) -> list[Key]:
    """The order of a queryset, made unique by the primary key."""
    model: type[Model] = queryset.model
    found: list[Key] = []
    order = [str(each) for each in queryset.query.order_by]
    descends = bool(order) and order[-1].startswith("-")
    for each in (*order, "-pk" if descends else "pk"):
        name = each.removeprefix("-")
        field = model._meta.pk if name == "pk" else model._meta.get_field(name)
        found.append(Key(field, each.startswith("-")))  # type: ignore[arg-type]
        if found[-1].field.unique:
            break
    return found


def after(keys: list[Key], values: list[Any]) -> Q:
    """Rows behind the one that has these values."""
    found, before = Q(pk__in=[]), Q()
    for key, value in zip(keys, values, strict=True):
        if (further := key.further(value)) is not None:
            found |= before & further
        before &= key.same(value)
    first = keys[0].further(values[0])
    # Said twice, so that an index on the first field begins at the right place.
    return found if first is None or len(keys) == 1 else found & (first | keys[0].same(values[0]))


def token(keys: list[Key], row: Model) -> str:
    """The row's position as the address holds it."""
    values = [getattr(row, key.name) for key in keys]
    texts = [each.isoformat() if isinstance(each, datetime) else each for each in values]
    content = json.dumps([_order(keys), texts], separators=(",", ":"))
    return base64.urlsafe_b64encode(content.encode()).decode().rstrip("=")


def position(keys: list[Key], text: str) -> list[Any]:
    """The values of the row that a token names; ValueError for a text that is none."""
    if len(text) > _LONGEST:
        raise ValueError("It is too long.")
    try:
        order, texts = json.loads(base64.b64decode(text + "=" * (-len(text) % 4), b"-_", True))
        if order == _order(keys) and len(texts) == len(keys):
            pairs = zip(keys, texts, strict=True)
            return [None if each is None else _value(key, each) for key, each in pairs]
    except (binascii.Error, TypeError, ValueError, OverflowError, Invalid) as error:
        raise ValueError("It is none that this API gave.") from error
    raise ValueError("It belongs to another ordering.")


def _value(key: Key, given: Any) -> Any:
    """The value as the database takes it; an error for one that it does not."""
    value = key.field.to_python(given)
    if isinstance(value, datetime):
        return value.astimezone(UTC)
    if isinstance(value, str) and b"\x00" in value.encode():
        raise ValueError("No database keeps NUL.")
    return value


def _order(keys: list[Key]) -> str:
    return ",".join(f"{'-' if key.descending else ''}{key.name}" for key in keys)


def _take(rows: QuerySet[Any], keys: list[Key], ahead: Q, count: int) -> list[Any]:
    """The first `count` rows that are `ahead`.

    In the order of the primary key they are looked for among the next entries first: a database
    that prefers the index of some filter would gather and sort all that fit that.
    """
    order = [key.order() for key in keys]
    rows = rows.filter(ahead).order_by(*order)
    if keys[0].field.primary_key:
        near = rows.model._base_manager.filter(ahead).order_by(*order).values("pk")[:WALK]
        found = list(rows.filter(pk__in=near)[:count])
        if len(found) == count:
            return found
    return list(rows[:count])


class CursorPages(Pages):
    """Numbered pages; with `?cursor=` pages by position, without `count` and `previous`."""

    own = frozenset({PARAMETER})
    _next: str | None = None
    _by_cursor = False

    def paginate_queryset(
        self, queryset: Any, request: Request, view: Any = None
    ) -> list[Any] | None:
        if PARAMETER not in request.query_params:
            return super().paginate_queryset(queryset, request, view)
        if "page" in request.query_params:
            raise ValidationError({PARAMETER: ["Give page or cursor, not both."]})
        self._by_cursor, size = True, self.get_page_size(request)
        keys = keys_of(queryset)
        ahead = Q()
        if text := request.query_params[PARAMETER]:
            try:
                ahead = after(keys, position(keys, text))
            except ValueError as error:
                raise ValidationError({PARAMETER: [str(error)]}) from error
        found = _take(queryset, keys, ahead, size + 1)
        if len(found) > size:
            url = remove_query_param(request.build_absolute_uri(), PARAMETER)
            self._next = replace_query_param(url, PARAMETER, token(keys, found[size - 1]))
        return found[:size]

    def get_paginated_response(self, data: Any) -> Response:
        if not self._by_cursor:
            return super().get_paginated_response(data)
        return Response({"next": self._next, "results": data})

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        description = (
            "Empty for the first page, then as in `next`: pages by position. They are as quick at "
            "the end as at the start, and rows that come or go do not move the others; `count` and "
            "`previous` are left out. Rows without a value of what is ordered by come last."
        )
        return [
            *super().get_schema_operation_parameters(view),
            {"name": PARAMETER, "in": "query", "required": False, "description": description}
            | {"schema": {"type": "string"}, "allowEmptyValue": True},
        ]

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = super().get_paginated_response_schema(schema)
        return found | {"required": ["results"]}
