"""What MLflow holds, as plain frozen values. Times are aware and in UTC; absent ones are None."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

#: What MLflow sends in place of an infinite metric.
_INFINITE = 1.7976931348623157e308

Json = dict[str, Any]


def moment(milliseconds: Any) -> datetime | None:
    """A time from MLflow's milliseconds since 1970; 0, nothing and what is no date are None.

    Clients choose start times freely, so MLflow holds whatever they sent.
    """
    value = int(milliseconds or 0)
    try:
        return datetime.fromtimestamp(value / 1000, UTC) if value else None
    except (OverflowError, ValueError, OSError):
        return None


def number(value: Any) -> float:
    """A metric as MLflow sends it: NaN comes as text, infinity as the largest double."""
    result = float(value)
    if result >= _INFINITE:
        return float("inf")
    return float("-inf") if result <= -_INFINITE else result


def pairs(items: list[Json] | None) -> dict[str, str]:
    """`[{key, value}]` as a dict. MLflow leaves out empty values; no database keeps NUL."""
    return {item["key"]: item.get("value", "").replace("\0", "") for item in items or []}


def clean(data: Json, name: str) -> str:
    """A text of an answer, empty where there is none, without NUL."""
    return str(data.get(name) or "").replace("\0", "")


@dataclass(frozen=True)
class ServerInfo:
    """Who answers at the tracking URI."""

    url: str
    version: str


@dataclass(frozen=True)
class Identity:
    """Who we are to a server that has accounts. Only an administrator is shown everything."""

    name: str
    is_admin: bool


@dataclass(frozen=True)
class Experiment:
    """An MLflow experiment."""

    experiment_id: str
    name: str
    artifact_location: str
    lifecycle_stage: str
    created_at: datetime | None
    updated_at: datetime | None
    tags: dict[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, data: Json) -> Experiment:
        return cls(
            experiment_id=data["experiment_id"],
            name=data["name"].replace("\0", ""),
            artifact_location=clean(data, "artifact_location"),
            lifecycle_stage=data.get("lifecycle_stage", "active"),
            created_at=moment(data.get("creation_time")),
            updated_at=moment(data.get("last_update_time")),
            tags=pairs(data.get("tags")),
        )


@dataclass(frozen=True)
class Dataset:
    """A data set that a run used."""

    name: str
    digest: str
    source_type: str
    source: str
    schema: str
    profile: str
    tags: dict[str, str]

    @property
    def context(self) -> str:
        """What the run used it for, e.g. `train`."""
        return self.tags.get("mlflow.data.context", "")

    @classmethod
    def parse(cls, data: Json) -> Dataset:
        dataset = data.get("dataset", {})
        return cls(
            name=clean(dataset, "name"),
            digest=clean(dataset, "digest"),
            source_type=clean(dataset, "source_type"),
            source=clean(dataset, "source"),
            schema=clean(dataset, "schema"),
            profile=clean(dataset, "profile"),
            tags=pairs(data.get("tags")),
        )


def in_order(datasets: Iterable[Dataset]) -> tuple[Dataset, ...]:
    """Data sets by name, digest and context."""
    return tuple(sorted(datasets, key=lambda each: (each.name, each.digest, each.context)))


@dataclass(frozen=True)
class Run:
    """An MLflow run. `metrics` has the last value of each; `model_outputs` are `m-…` ids.

    MLflow lists data sets and outputs in no order; here they are by name, and by step.
    """

    run_id: str
    experiment_id: str
    name: str
    status: str
    lifecycle_stage: str
    start_time: datetime | None
    end_time: datetime | None
    start_ms: int
    end_ms: int
    artifact_uri: str
    user_id: str
    params: dict[str, str]
    metrics: dict[str, float]
    tags: dict[str, str]
    datasets: tuple[Dataset, ...]
    model_outputs: tuple[str, ...]

    @property
    def is_terminal(self) -> bool:
        """True when the run has ended."""
        return self.status in ("FINISHED", "FAILED", "KILLED")

    @property
    def is_deleted(self) -> bool:
        return self.lifecycle_stage == "deleted"

    @property
    def parent_run_id(self) -> str | None:
        return self.tags.get("mlflow.parentRunId")

    @classmethod
    def parse(cls, data: Json) -> Run:
        info, values = data["info"], data.get("data", {})
        inputs, outputs = data.get("inputs") or {}, data.get("outputs") or {}
        return cls(
            run_id=info["run_id"],
            experiment_id=info["experiment_id"],
            name=clean(info, "run_name"),
            status=info.get("status", ""),
            lifecycle_stage=info.get("lifecycle_stage", "active"),
            start_time=moment(info.get("start_time")),
            end_time=moment(info.get("end_time")),
            start_ms=int(info.get("start_time") or 0),
            end_ms=int(info.get("end_time") or 0),
            artifact_uri=clean(info, "artifact_uri"),
            user_id=clean(info, "user_id"),
            params=pairs(values.get("params")),
            metrics={each["key"]: number(each["value"]) for each in values.get("metrics") or []},
            tags=pairs(values.get("tags")),
            datasets=in_order(map(Dataset.parse, inputs.get("dataset_inputs") or [])),
            model_outputs=tuple(
                model_id
                for _, model_id in sorted(
                    (int(each.get("step") or 0), each["model_id"])
                    for each in outputs.get("model_outputs") or []
                )
            ),
        )


@dataclass(frozen=True)
class LoggedModel:
    """An MLflow 3 model that a run made, `models:/m-…`."""

    model_id: str
    experiment_id: str
    name: str
    status: str
    source_run_id: str
    artifact_uri: str
    created_at: datetime | None
    updated_at: datetime | None
    tags: dict[str, str]
    params: dict[str, str]
    model_type: str

    @property
    def uri(self) -> str:
        return f"models:/{self.model_id}"

    @classmethod
    def parse(cls, data: Json) -> LoggedModel:
        info = data["info"]
        return cls(
            model_id=info["model_id"],
            experiment_id=info.get("experiment_id", ""),
            name=clean(info, "name"),
            status=info.get("status", "").removeprefix("LOGGED_MODEL_"),
            source_run_id=info.get("source_run_id", ""),
            artifact_uri=clean(info, "artifact_uri"),
            created_at=moment(info.get("creation_timestamp_ms")),
            updated_at=moment(info.get("last_updated_timestamp_ms")),
            tags=pairs(info.get("tags")),
            params=pairs((data.get("data") or {}).get("params")),
            model_type=clean(info, "model_type"),
        )


@dataclass(frozen=True)
class RegisteredModel:
    """A name in MLflow's registry. `aliases` maps alias to version."""

    name: str
    description: str
    created_at: datetime | None
    updated_at: datetime | None
    tags: dict[str, str]
    aliases: dict[str, str]

    @classmethod
    def parse(cls, data: Json) -> RegisteredModel:
        return cls(
            name=data["name"],
            description=clean(data, "description"),
            created_at=moment(data.get("creation_timestamp")),
            updated_at=moment(data.get("last_updated_timestamp")),
            tags=pairs(data.get("tags")),
            aliases={each["alias"]: each["version"] for each in data.get("aliases") or []},
        )


@dataclass(frozen=True)
class ModelVersion:
    """One version of a registered model. A search leaves `aliases` empty; a get fills them."""

    name: str
    version: str
    source: str
    run_id: str
    status: str
    stage: str
    description: str
    user_id: str
    created_at: datetime | None
    updated_at: datetime | None
    tags: dict[str, str]
    aliases: tuple[str, ...]

    @property
    def model_id(self) -> str | None:
        """The logged model `m-…` that this version is made of, if it is one."""
        rest = self.source.removeprefix("models:/")
        return rest.split("/")[0] if rest.startswith("m-") and rest != self.source else None

    @property
    def uri(self) -> str:
        return f"models:/{self.name}/{self.version}"

    @classmethod
    def parse(cls, data: Json) -> ModelVersion:
        return cls(
            name=data["name"],
            version=str(data["version"]),
            source=clean(data, "source"),
            run_id=data.get("run_id", ""),
            status=data.get("status", ""),
            stage=data.get("current_stage") or "None",
            description=clean(data, "description"),
            user_id=clean(data, "user_id"),
            created_at=moment(data.get("creation_timestamp")),
            updated_at=moment(data.get("last_updated_timestamp")),
            tags=pairs(data.get("tags")),
            aliases=tuple(data.get("aliases") or ()),
        )


@dataclass(frozen=True)
class Artifact:
    """A file or folder under an artifact root; `path` is relative to the root, `size` in bytes."""

    path: str
    is_dir: bool
    size: int | None
