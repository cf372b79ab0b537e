"""What the pipelines need of a tracker of runs; the MLflow connector is one."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol


class TrackedRun(Protocol):
    """A run that is being written. It lives in a durable journal; MLflow gets it when it answers.

    `run_id` is None until MLflow has the run.
    """

    @property
    def journal_id(self) -> str: ...

    @property
    def run_id(self) -> str | None: ...

    def log_params(self, params: Mapping[str, Any]) -> None: ...

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None: ...

    def set_tags(self, tags: Mapping[str, str]) -> None: ...

    def log_artifact(self, path: Path, folder: str = "") -> None: ...

    def log_dict(self, content: Mapping[str, Any], file: str) -> None: ...
