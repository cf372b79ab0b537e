"""A server of our own, so that every number can be checked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from e2i_site.jobs.models import BreakerRecord
from e2i_site.mlflow_connector import MLflowConnector, get_connector
from tests.faults import FaultProxy
from tests.mlflow_process import fork_server, stop_group
from tests.registry.sync.world import QUICK, World


@pytest.fixture(scope="session")
def own_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mlflow")


@pytest.fixture(scope="package")
def own_server(own_folder: Path) -> Iterator[str]:
    pid, url = fork_server(own_folder)
    yield url
    stop_group(pid)


@pytest.fixture
def store_uri(own_folder: Path) -> str:
    """MLflow's database, as MLFLOW_BACKEND_STORE_URI has it."""
    return f"sqlite:///{own_folder / 'mlflow.sqlite3'}"


@pytest.fixture
def mlflow(own_server: str, db: None, settings: Any, tmp_path: Path) -> Iterator[MLflowConnector]:
    """The shared connector, pointed at the own server and emptied of what tests before left."""
    settings.MLFLOW_TRACKING_URI = own_server
    settings.MLFLOW_JOURNAL_DIR = tmp_path / "journals"
    connector = get_connector()
    for model in connector.iter_registered_models():
        connector.transport.write("DELETE", "registered-models/delete", name=model.name)
    yield connector
    connector.close()


@pytest.fixture
def world(mlflow: MLflowConnector) -> World:
    return World(mlflow)


@pytest.fixture
def line(world: World, own_server: str, settings: Any) -> Iterator[FaultProxy]:
    """The way to MLflow that syncs take, with short patience."""
    proxy = FaultProxy(own_server)
    settings.MLFLOW_TRACKING_URI = proxy.url
    connector = get_connector()
    connector.transport.policy = QUICK
    connector.transport._timeout = httpx.Timeout(30.0)
    yield proxy
    proxy.close()
    connector.close()
    BreakerRecord.objects.all().delete()
