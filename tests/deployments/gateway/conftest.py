"""A gateway in this process, with real models, its database in memory."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from starlette.testclient import TestClient

from deployments.gateway.app import create_app
from deployments.gateway.measure import Meter, MinuteCounts
from deployments.gateway.mirror import Mirror
from deployments.gateway.model_host import ModelHost
from deployments.gateway.routes import ACTIVE, SHADOW, RouteTable, Target
from deployments.gateway.runtime import Gateway, Limits
from deployments.store import ArtifactStore
from e2i_site.mlflow_connector.models import load_pyfunc
from tests.deployments.conftest import SavedModels

PATH = "/cancer/invocations"


@dataclass
class Rows:
    """Provider and sink in memory."""

    targets: list[Target] = field(default_factory=list)
    counts: dict[int, MinuteCounts] = field(default_factory=dict)
    broken: bool = False

    def read(self) -> Sequence[Target]:
        if self.broken:
            raise ConnectionError("no database")
        return self.targets

    def write(self, counts: Sequence[MinuteCounts]) -> None:
        if self.broken:
            raise ConnectionError("no database")
        for each in counts:
            if each.deployment in self.counts:
                self.counts[each.deployment].add(each)
            else:
                self.counts[each.deployment] = each


@dataclass
class Setup:
    rows: Rows
    gateway: Gateway
    client: TestClient

    def settle(self) -> None:
        """Wait until everything mirrored is measured and stored."""
        deadline = time.monotonic() + 10
        while self.gateway.mirror.queued or self.gateway.mirror._busy:
            assert time.monotonic() < deadline
            time.sleep(0.005)
        self.gateway.meter.flush()


Build = Callable[..., Setup]


@pytest.fixture
def build(store: ArtifactStore) -> Iterator[Build]:
    opened = []

    def build(*targets: Target, limits: Limits | None = None, copies: int = 100) -> Setup:
        rows = Rows(list(targets))
        meter = Meter(rows)
        gateway = Gateway(
            table=RouteTable(rows, ModelHost(store, load_pyfunc)),
            meter=meter,
            mirror=Mirror(meter, copies=copies),
            key="open sesame",
            instance="test",
            limits=limits or Limits(),
        )
        client = TestClient(create_app(gateway), raise_server_exceptions=False)
        client.__enter__()
        opened.append(client)
        return Setup(rows, gateway, client)

    yield build
    for client in opened:
        client.__exit__(None, None, None)


@pytest.fixture
def champion(saved: SavedModels) -> Target:
    return Target(1, "cancer", ACTIVE, "e2i_cancer", 3, saved.champion.digest)


@pytest.fixture
def challenger(saved: SavedModels) -> Target:
    return Target(2, "cancer", SHADOW, "e2i_cancer", 4, saved.challenger.digest, slow_ms=150.0)


def send(setup: Setup, body: bytes, **headers: str) -> Any:
    return setup.client.post(
        PATH, content=body, headers={"Content-Type": "application/json", **headers}
    )


class Slow:
    """Takes the model's place and sleeps first, as a slow model would."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def __call__(self, given: Any) -> Any:
        time.sleep(self.seconds)
        return [0] * len(given.data)


def slow_down(setup: Setup, digest: str, predict: Callable[[Any], Any]) -> None:
    host = setup.gateway.table._host
    host._models[digest] = replace(host._models[digest], predict=predict)
    setup.gateway.table.refresh()
