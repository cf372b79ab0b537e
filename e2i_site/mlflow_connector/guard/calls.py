"""What a call to MLflow would change, read as MLflow reads it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs

API = re.compile(
    r"(?:^|/)(?:ajax-)?api/\d+\.\d+/(?:preview/)?(mlflow|mlflow-artifacts)/(.+?)/*\Z",
    re.DOTALL,  # a path may hold line breaks, which MLflow leaves out
)
_FILES = re.compile(r"^(?:artifacts|mpu/[^/]+)(?:/|$)")
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
        self._values: dict[str, list[Any]] = dict(parse_qs(query.decode("latin-1")).items())
        for key, value in _parsed(body).items():
            self._values.setdefault(_snake(key), []).append(value)

    def __getitem__(self, name: str) -> str:
        given = self._given(name)
        return given[-1] if given else ""

    @property
    def run_ids(self) -> set[str]:
        """Every run that is named in some way: MLflow takes one, and which depends on the call."""
        return {*self._given("run_id"), *self._given("run_uuid")} - {""}

    def _given(self, name: str) -> list[str]:
        """Only what is asked for is written out: a batch may hold a thousand metrics."""
        return [
            value if isinstance(value, str) else json.dumps(value)
            for value in self._values.get(name, ())
            if value is not None
        ]


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


def segments(call: str) -> list[str] | None:
    """The parts of an artifact's path, as MLflow itself reads it; None where MLflow refuses it.

    Args:
        call: what follows `mlflow-artifacts/`, such as `artifacts/7/models/m-1/artifacts/MLmodel`.
    """
    # There in MLflow's own process, and long to load elsewhere.
    from mlflow.exceptions import MlflowException
    from mlflow.utils.uri import validate_path_is_safe

    path = _FILES.sub("", call)
    try:
        read = validate_path_is_safe(path) if path else ""  # type: ignore[no-untyped-call]
    except (MlflowException, ValueError):
        return None
    return [part for part in read.split("/") if part not in ("", ".")]
