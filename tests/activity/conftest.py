"""Other people at a real MLflow, and the mirror of just what they touch."""

from __future__ import annotations

import time
import uuid
from pathlib import Path
from typing import Any

import pytest

from e2i_site.mlflow_connector import MLflowConnector, get_connector
from e2i_site.mlflow_connector.sources import record_of
from training.sync import Counts, RunMirror, mirror_experiments

SOURCE = "s3://somewhere/model"


class Others:
    """What somebody does with MLflow's REST API, and mirroring the experiment it happened in."""

    def __init__(self, connector: MLflowConnector) -> None:
        self.connector = connector
        self.name = f"others-{uuid.uuid4().hex[:10]}"
        self.experiment_id = connector.get_or_create_experiment(self.name).experiment_id

    def post(self, path: str, method: str = "POST", **body: Any) -> dict[str, Any]:
        return self.connector.transport.write(method, path, **body)

    def run(self, *, ended: bool = True, **tags: str) -> str:
        made = self.post(
            "runs/create",
            experiment_id=self.experiment_id,
            start_time=int(time.time() * 1000),
            run_name="first name",
            tags=[{"key": key, "value": value} for key, value in tags.items()],
        )
        run_id = str(made["run"]["info"]["run_id"])
        if ended:
            self.post("runs/update", run_id=run_id, status="FINISHED", end_time=int(time.time()))
        return run_id

    def metric(self, run_id: str, key: str, value: float, step: int = 0) -> None:
        self.post("runs/log-metric", run_id=run_id, key=key, value=value, timestamp=1, step=step)

    def model(self, versions: int = 1) -> str:
        self.connector.get_or_create_registered_model(self.name)
        for _ in range(versions):
            self.version()
        return self.name

    def version(self) -> str:
        made = self.post("model-versions/create", name=self.name, source=SOURCE)
        return str(made["model_version"]["version"])

    def mirror_runs(self) -> None:
        """As a sync that reads this experiment alone."""
        found = self.connector.get_experiment(self.experiment_id)
        mirror_experiments([found], Counts())
        runs = self.connector.iter_runs([self.experiment_id])
        RunMirror(Counts()).mirror(map(record_of, runs))


@pytest.fixture
def others(mlflow_server: str, db: None, settings: Any, tmp_path: Path) -> Others:
    settings.MLFLOW_TRACKING_URI = mlflow_server
    settings.MLFLOW_JOURNAL_DIR = tmp_path / "journal"
    return Others(get_connector())


@pytest.fixture(autouse=True)
def nobody_works(quiet_broker: None) -> None:
    """Jobs wait."""
