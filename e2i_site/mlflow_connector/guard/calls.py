"""What a call to MLflow would change, read as MLflow reads it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, unquote

API = re.compile(r"(?:^|/)(?:ajax-)?api/\d+\.\d+/(?:preview/)?(mlflow|mlflow-artifacts)/(.+?)/*$")
_HUMP = re.compile(r"(?<=[a-z0-9])([A-Z])")


def target(path: str) -> tuple[str, str] | None:
    """("mlflow", "runs/delete") of a path of MLflow's API; None for any other path."""
    found = API.search(path)
    return (found[1], found[2]) if found else None


class Fields:
    """The fields of a call, from its query and its JSON body; an absent one is empty text.

    MLflow takes `runId` for `run_id`, and JSON inside a JSON string.
    """

    def __init__(self, query: bytes = b"", body: bytes = b"") -> None:
        self._values: dict[str, Any] = {
            key: values[0] for key, values in parse_qs(query.decode("latin-1")).items()
        }
        self._values.update((_snake(key), value) for key, value in _parsed(body).items())

    def __getitem__(self, name: str) -> str:
        value = self._values.get(name, "")
        # Only what is asked for is written out: a batch may hold a thousand metrics.
        return value if isinstance(value, str) else json.dumps(value)

    @property
    def run_id(self) -> str:
        return self["run_id"] or self["run_uuid"]


def _snake(key: str) -> str:
    return _HUMP.sub(lambda hump: f"_{hump[1].lower()}", key)


def _parsed(body: bytes) -> Mapping[str, Any]:
    """The body's object; empty when there is none, which MLflow then refuses itself."""
    try:
        data = json.loads(body) if body else {}
        if isinstance(data, str):
            data = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    return data if isinstance(data, dict) else {}


def segments(path: str) -> list[str]:
    """The parts of an artifact's path, decoded as often as it was encoded."""
    while (decoded := unquote(path)) != path:
        path = decoded
    return [part for part in path.split("/") if part]
