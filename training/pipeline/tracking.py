"""What the pipelines need of a tracker of runs; the MLflow connector is one."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

from training.pipeline.types import Json

#: Values of tags and parameters; lists and dicts become JSON.
Values = Mapping[str, Any]


class TrackedRun(Protocol):
    """A run being written. It is kept durably; MLflow gets it as soon as it answers."""

    @property
    def journal_id(self) -> str: ...

    @property
    def mlflow_run_id(self) -> str | None:
        """None until MLflow has the run."""
        ...

    def log_params(self, values: Values) -> None: ...

    def log_metrics(self, values: Values, step: int = 0) -> None: ...

    def set_tags(self, tags: Values) -> None: ...

    def log_artifact(self, path: Path | str, artifact_path: str = "") -> None: ...

    def log_dict(self, data: Any, artifact_file: str) -> None: ...

    def log_dataset(
        self,
        name: str,
        digest: str,
        *,
        schema: Any = None,
        profile: Any = None,
        source: str = "",
        context: str = "training",
    ) -> None: ...

    def log_model(
        self,
        local_dir: Path | str,
        *,
        name: str = "model",
        register_as: str | None = None,
        version_tags: Values | None = None,
    ) -> str: ...


class RunTracker(Protocol):
    """Starts runs. The run ends FINISHED, FAILED on an Exception, KILLED on any other end."""

    def start_run(
        self,
        experiment_name: str,
        *,
        run_name: str,
        tags: Values | None = None,
        parent: Any = None,
        journal_id: str | None = None,
    ) -> AbstractContextManager[TrackedRun]: ...


def log_data(run: TrackedRun, data: Any, context: str = "training") -> None:
    """Log a `data.Dataset` as MLflow knows data sets, with its whole digest in a tag."""
    schema: Json = [column.as_dict() for column in data.schema]
    profile: Json = {"rows": len(data), "features": len(data.features), "target": data.target}
    run.log_dataset(
        data.name,
        data.digest,
        schema=schema,
        profile=profile,
        source=data.source,
        context=context,
    )
