"""Bodies of the API: JSON in, JSON or CSV out."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import IO, Any

from django.db.models import QuerySet
from django.http import StreamingHttpResponse
from rest_framework import exceptions
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.parsers import JSONParser
from rest_framework.renderers import BaseRenderer
from rest_framework.serializers import BaseSerializer

from e2i_site.core.http import csv_response
from e2i_site.core.problems import TooLarge

MAX_BODY = 1 << 20
CHUNK = 500


class CSVRenderer(BaseRenderer):
    """Lets a list be asked for as CSV; `csv_list` streams it."""

    media_type = "text/csv"
    format = "csv"
    charset = "utf-8"


class JSONBody(JSONParser):
    """JSON of at most 1 MiB that is not nested without end."""

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        request = (parser_context or {})["request"]
        if int(request.META.get("CONTENT_LENGTH") or 0) > MAX_BODY:
            raise TooLarge(f"A body holds at most {MAX_BODY:,} bytes.")
        try:
            return super().parse(stream, media_type, parser_context)
        except RecursionError:
            raise exceptions.ParseError("The JSON is nested too deeply.") from None


class Formats(DefaultContentNegotiation):
    """As `?format=` says, else as `Accept` does; an unknown format is named as such."""

    def filter_renderers(self, renderers: Iterable[BaseRenderer], format: str) -> list[Any]:
        renderers = list(renderers)
        known = [each.format for each in renderers]
        if format not in known:
            message = f"There is no format {format!r} here; there is {' and '.join(known)}."
            raise exceptions.ValidationError({"format": [message]})
        return [each for each in renderers if each.format == format]


def csv_list(
    name: str, rows: QuerySet[Any], serializer: BaseSerializer[Any]
) -> StreamingHttpResponse:
    """Stream all `rows` as a CSV download, the serializer's fields as columns."""
    columns = list(serializer.fields)  # type: ignore[attr-defined]

    def lines() -> Iterator[list[Any]]:
        for row in rows.iterator(chunk_size=CHUNK):
            data = serializer.to_representation(row)
            yield [_flat(data[column]) for column in columns]

    return csv_response(name, columns, lines())


def _flat(value: Any) -> Any:
    """Nested data as JSON text."""
    if isinstance(value, list | dict):
        return json.dumps(value, ensure_ascii=False, default=str)
    return value
