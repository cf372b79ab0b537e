"""A connector to the real server, straight or through a line that breaks."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from e2i_site.mlflow_connector import MLflowConnector
from e2i_site.mlflow_connector.transport import RetryPolicy
from tests.faults import FaultProxy

ONCE = RetryPolicy(retries=0)
QUICK = RetryPolicy(retries=3, initial=0.01, longest=0.02, jitter=0.0)


@pytest.fixture
def name() -> str:
    """A name nobody else uses in the shared server."""
    return f"t{uuid.uuid4().hex[:10]}"


@pytest.fixture
def connector(mlflow_server: str, tmp_path: Path) -> Iterator[MLflowConnector]:
    made = MLflowConnector(mlflow_server, tmp_path / "journals", policy=QUICK)
    yield made
    made.close()


@pytest.fixture
def proxy(mlflow_server: str) -> Iterator[FaultProxy]:
    made = FaultProxy(mlflow_server)
    yield made
    made.close()


@pytest.fixture
def through(proxy: FaultProxy, tmp_path: Path) -> Iterator[Callable[..., MLflowConnector]]:
    """Makes connectors through the proxy; they share the journal folder."""
    made: list[MLflowConnector] = []

    def make(policy: RetryPolicy = ONCE, timeout: float = 20.0) -> MLflowConnector:
        made.append(
            MLflowConnector(proxy.url, tmp_path / "journals", policy=policy, timeout=timeout)
        )
        return made[-1]

    yield make
    proxy.heal()
    for each in made:
        each.close()


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files in the form of a model; enough wherever nothing loads it."""
    folder = tmp_path_factory.mktemp("model") / "model"
    (folder / "sub").mkdir(parents=True)
    (folder / "MLmodel").write_text("flavors: {}\n")
    (folder / "sub" / "weights é.bin").write_bytes(bytes(range(256)) * 8)
    return folder
