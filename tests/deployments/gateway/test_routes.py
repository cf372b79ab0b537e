"""Routes follow the database within a second, also while a model is being loaded."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from deployments.gateway.model_host import ModelHost
from deployments.gateway.routes import ACTIVE, STANDBY, STOPPED, RouteTable, Target
from deployments.store import ArtifactStore
from e2i_site.mlflow_connector.models import load_pyfunc
from tests.deployments.conftest import SavedModels
from tests.deployments.gateway.conftest import Build, Rows


class Loading:
    """Loads models, but this one only once it is told to."""

    def __init__(self, held: Path) -> None:
        self.held = held
        self.begun = threading.Event()
        self.go_on = threading.Event()
        self.loaded: list[Path] = []

    def __call__(self, path: Path) -> Any:
        if path == self.held:
            self.begun.set()
            assert self.go_on.wait(20)
        self.loaded.append(path)
        return load_pyfunc(path)

    def during(self, function: Callable[[], object]) -> threading.Thread:
        """Start the function, and return while it loads the model that is held."""
        thread = threading.Thread(target=function, daemon=True)
        thread.start()
        assert self.begun.wait(20)
        return thread

    def finish(self, thread: threading.Thread) -> None:
        self.go_on.set()
        thread.join(20)
        assert not thread.is_alive()


@pytest.fixture
def loading(store: ArtifactStore, challenger: Target) -> Iterator[Loading]:
    loading = Loading(store.path(challenger.digest))
    yield loading
    loading.go_on.set()


@pytest.fixture
def rows(champion: Target) -> Rows:
    return Rows([champion])


@pytest.fixture
def table(rows: Rows, store: ArtifactStore, loading: Loading) -> RouteTable:
    table = RouteTable(rows, ModelHost(store, loading))
    table.refresh()
    return table


def active(table: RouteTable, name: str = "cancer") -> int | None:
    endpoint = table.endpoint(name)
    return endpoint.active.target.deployment if endpoint and endpoint.active else None


def test_a_stop_takes_effect_while_a_model_is_loaded(
    rows: Rows, table: RouteTable, loading: Loading, champion: Target, challenger: Target
) -> None:
    assert active(table) == 1
    rows.targets = [champion, replace(challenger, role=STANDBY)]
    table.read()
    thread = loading.during(table.load)
    rows.targets = [replace(champion, role=STOPPED), replace(challenger, role=STANDBY)]
    table.read()
    assert active(table) is None
    loading.finish(thread)
    assert active(table) is None
    endpoint = table.endpoint("cancer")
    assert endpoint is not None
    assert endpoint.find(2) is not None


def test_after_a_model_is_loaded_the_routes_are_those_of_now(
    rows: Rows, table: RouteTable, loading: Loading, champion: Target, challenger: Target
) -> None:
    rows.targets = [champion, replace(challenger, role=STANDBY)]
    thread = loading.during(table.refresh)
    rows.targets = [replace(champion, role=STOPPED), replace(challenger, role=STOPPED)]
    loading.finish(thread)
    assert active(table) is None


def test_what_was_stopped_meanwhile_is_not_loaded(
    rows: Rows, table: RouteTable, loading: Loading, saved: SavedModels, challenger: Target
) -> None:
    late = replace(challenger, deployment=3, endpoint="late", role=ACTIVE, digest="0" * 64)
    rows.targets = [replace(challenger, role=STANDBY), late]
    thread = loading.during(table.refresh)
    rows.targets = [replace(challenger, role=STANDBY), replace(late, role=STOPPED)]
    loading.finish(thread)
    assert table.failure(late) == ""


def test_routes_that_were_not_read_for_long_are_a_problem(build: Build, champion: Target) -> None:
    setup = build(champion)
    assert setup.gateway.problems() == []
    setup.gateway.table.refreshed_at = time.monotonic() - 11
    assert setup.gateway.problems() == ["The routes were last read 11 s ago."]
    assert setup.client.get("/health").json()["status"] == "degraded"
