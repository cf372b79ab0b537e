"""What other people do in MLflow, and what a sync makes of it."""

from __future__ import annotations

import time
from typing import Any

from e2i_site.mlflow_connector import MLflowConnector
from e2i_site.mlflow_connector.transport import RetryPolicy
from registry.sync import SyncReport
from tests.factories.training import TrainingRunFactory
from training.choices import RunSource, RunStatus
from training.models import TrainingRun

#: Patience of syncs over a line with faults: so little that one call which fails does not open the
#: breaker, even with a connection lost beside it.
QUICK = RetryPolicy(retries=2, initial=0.01, longest=0.02, jitter=0.0)


class World:
    """Shorthands for what other people do in MLflow."""

    def __init__(self, connector: MLflowConnector) -> None:
        self.connector = connector

    def experiment(self, name: str) -> str:
        return self.connector.get_or_create_experiment(f"{name}-{time.time_ns()}").experiment_id

    def run(self, experiment_id: str, *, start: float | None = None, **more: Any) -> str:
        tags = [{"key": key, "value": value} for key, value in more.pop("tags", {}).items()]
        body = {
            "experiment_id": experiment_id,
            "start_time": int((start or time.time()) * 1000),
            "tags": tags,
            **more,
        }
        made = self.connector.transport.write("POST", "runs/create", **body)
        return str(made["run"]["info"]["run_id"])

    def log(self, run_id: str, **parts: Any) -> None:
        params = [{"key": k, "value": v} for k, v in parts.get("params", {}).items()]
        metrics = [
            {"key": k, "value": v, "timestamp": 1, "step": 0}
            for k, v in parts.get("metrics", {}).items()
        ]
        self.post("runs/log-batch", run_id=run_id, params=params, metrics=metrics)

    def end(self, run_id: str, status: str = "FINISHED", end: float | None = None) -> None:
        end_time = int((end or time.time()) * 1000)
        self.post("runs/update", run_id=run_id, status=status, end_time=end_time)

    def version(self, name: str, run_id: str, **tags: str) -> str:
        self.connector.get_or_create_registered_model(name)
        made = self.connector.transport.write(
            "POST",
            "model-versions/create",
            name=name,
            source=f"runs:/{run_id}/model",
            run_id=run_id,
            tags=[{"key": key, "value": value} for key, value in tags.items()],
        )
        return str(made["model_version"]["version"])

    def dataset(self, run_id: str, name: str, context: str) -> None:
        dataset = {"name": name, "digest": "d1", "source_type": "local", "source": "{}"}
        tags = [{"key": "mlflow.data.context", "value": context}]
        inputs = [{"dataset": dataset, "tags": tags}]
        self.post("runs/log-inputs", run_id=run_id, datasets=inputs)

    def model(
        self, experiment_id: str, run_id: str, name: str, params: dict[str, str], tags: Any
    ) -> str:
        made = self.connector.transport.write(
            "POST",
            "logged-models",
            experiment_id=experiment_id,
            name=name,
            source_run_id=run_id,
            params=[{"key": key, "value": value} for key, value in params.items()],
            tags=[{"key": key, "value": value} for key, value in tags.items()],
        )
        model_id = str(made["model"]["info"]["model_id"])
        self.post("runs/outputs", run_id=run_id, models=[{"model_id": model_id, "step": 0}])
        return model_id

    def post(self, path: str, **body: Any) -> None:
        self.connector.transport.write("POST", path, **body)


def only_unchanged(report: SyncReport) -> bool:
    """True when nothing was written for anything that was seen."""
    kinds = (report.experiments, report.runs, report.models, report.versions)
    return all(each.seen == each.unchanged for each in kinds) and not any(
        each.created + each.updated + each.deleted for each in kinds
    )


def own_run(**more: Any) -> TrainingRun:
    """A row as E2I's pipeline makes it before MLflow knows of the run."""
    row: TrainingRun = TrainingRunFactory(
        source=RunSource.E2I,
        mlflow_run_id=None,
        mlflow_experiment=None,
        mlflow_available=False,
        journal_id=f"training-{time.time_ns()}",
        status=RunStatus.RUNNING,
        run_name="mine",
        algorithm="LightGBM",
        request={"trials": 3},
        **more,
    )
    return row
