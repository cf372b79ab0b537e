"""Lists of the API: pages, filters and order. What is not understood is refused, not ignored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import django_filters
from django.db.models import QuerySet
from django_filters.rest_framework import DjangoFilterBackend
from rest_framework.exceptions import ValidationError
from rest_framework.filters import OrderingFilter
from rest_framework.pagination import PageNumberPagination
from rest_framework.request import Request

if TYPE_CHECKING:
    from rest_framework.views import APIView

MAX_PAGE = 500


class Pages(PageNumberPagination):
    page_size = 50
    page_size_query_param = "page_size"
    max_page_size = MAX_PAGE
    own: frozenset[str] = frozenset()  # parameters beside page and page_size

    def get_page_size(self, request: Request) -> int:
        """Between 1 and 500."""
        asked = request.query_params.get("page_size", str(self.page_size))
        is_number = asked.isascii() and asked.isdigit() and len(asked) < 5
        size = int(asked) if is_number else 0
        if not 1 <= size <= MAX_PAGE:
            raise ValidationError({"page_size": [f"Give a number from 1 to {MAX_PAGE}."]})
        return size


class Filters(DjangoFilterBackend):  # type: ignore[misc, unused-ignore]
    """The pages' own filters. A misspelled one is an error, for it would let everything through."""

    others = frozenset({"page", "page_size", "ordering", "format"})

    def filter_queryset(
        self, request: Request, queryset: QuerySet[Any], view: APIView
    ) -> QuerySet[Any]:
        paging: frozenset[str] = getattr(
            getattr(view, "pagination_class", None), "own", frozenset()
        )
        filters = self.get_filterset(request, queryset, view).filters
        for name in request.query_params:
            if name in self.others | paging:
                continue
            if name not in filters:
                known = ", ".join(sorted(filters))
                raise ValidationError({name: [f"There is no filter {name!r}; there are {known}."]})
            if isinstance(filters[name], django_filters.BooleanFilter):
                _require_boolean(name, request.query_params.get(name, ""))
        found: QuerySet[Any] = super().filter_queryset(request, queryset, view)
        return found


def _require_boolean(name: str, value: str) -> None:
    if value not in ("", "true", "false"):
        raise ValidationError({name: ["Give true or false."]})


class Ordering(OrderingFilter):
    """`?ordering=name,-created_at`."""

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        known = ", ".join(view.ordering_fields)
        description = f"One or more of {known}, with commas; a minus means descending."
        return [
            {"name": "ordering", "in": "query", "description": description}
            | {"required": False, "schema": {"type": "string"}}
        ]

    def remove_invalid_fields(
        self, queryset: QuerySet[Any], fields: Any, view: APIView, request: Request
    ) -> list[str]:
        known = [name for name, _ in self.get_valid_fields(queryset, view, {"request": request})]
        for field in fields:
            if field.removeprefix("-") not in known:
                message = f"One cannot order by {field!r}; one can by {', '.join(known)}."
                raise ValidationError({"ordering": [message]})
        return list(fields)
