"""MLflow's limits on keys, values and batches, met before anything is sent."""

from __future__ import annotations

import hashlib
import json
import math
import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime
from typing import Any

from e2i_site.core.errors import InvalidInput
from e2i_site.mlflow_connector.masking import mask

KEY_LENGTH = 250
PARAM_LENGTH = 6000
TAG_LENGTH = 8000
DIGEST_LENGTH = 36
PARAMS_PER_BATCH = TAGS_PER_BATCH = 100
METRICS_PER_BATCH = 1000
#: MLflow takes 1 MB a batch; the rest is for the envelope.
BATCH_BYTES = 900_000
_BAD_CHARACTERS = re.compile(r"[^\w.\- :/]")


def key(name: str) -> str:
    """A legal key: odd characters become `_`; what is too long ends in a digest of the whole."""
    cleaned = posixpath.normpath(_BAD_CHARACTERS.sub("_", name).strip()).lstrip("/.")
    if not name.strip() or not cleaned:
        raise InvalidInput(f"{name!r} cannot be the name of a parameter, metric or tag.")
    if len(cleaned) <= KEY_LENGTH:
        return cleaned
    mark = hashlib.sha256(name.encode()).hexdigest()[:12]
    return f"{cleaned[: KEY_LENGTH - 13]}_{mark}"


def text(value: Any) -> str:
    """A value as MLflow stores it: lists and dicts as JSON, times as ISO 8601."""
    if isinstance(value, str):
        return value
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Mapping | list | tuple):
        return json.dumps(value, default=str, ensure_ascii=False)
    return str(value)


def texts(items: Mapping[str, Any]) -> dict[str, str]:
    """Parameters or tags with legal keys and text values, secrets hidden."""
    return {key(name): text(value) for name, value in mask(items).items()}


def metrics(items: Mapping[str, Any]) -> dict[str, float]:
    """Metrics with legal keys and float values; NaN and infinity are kept.

    Raises:
        InvalidInput: a value is not a number.
    """
    result = {}
    for name, value in items.items():
        try:
            result[key(name)] = float(value)
        except (TypeError, ValueError):
            raise InvalidInput(f"Metric {name!r} is {value!r}, which is not a number.") from None
    return result


def wire_number(value: float) -> float | str:
    """A float as MLflow's JSON wants it."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return value


def shorten(value: str, limit: int, where: str) -> str:
    """The value cut to `limit` characters, saying where the whole is kept."""
    note = f"… (whole text: {where})"
    return value if len(value) <= limit else value[: limit - len(note)] + note


def batches(items: Iterable[dict[str, Any]], most: int) -> Iterator[list[dict[str, Any]]]:
    """Lists of at most `most` items and `BATCH_BYTES` of JSON."""
    batch: list[dict[str, Any]] = []
    size = 0
    for item in items:
        weight = len(json.dumps(item, ensure_ascii=True)) + 2
        if batch and (len(batch) == most or size + weight > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(item)
        size += weight
    if batch:
        yield batch
