"""Reading and writing against a real MLflow server, and what a broken line does to it."""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from django.test import override_settings

from e2i_site.core.errors import InvalidInput
from e2i_site.mlflow_connector import (
    Conflict,
    MLflowConnector,
    NotFound,
    Rejected,
    Unreachable,
    count_requests,
    get_connector,
)
from e2i_site.mlflow_connector import connector as shared
from e2i_site.mlflow_connector.breaker import MemoryStore
from tests.faults import FaultProxy
from tests.mlflow_connector.conftest import ONCE, QUICK

Through = Callable[..., MLflowConnector]


def test_server_info(connector: MLflowConnector, mlflow_server: str) -> None:
    info = connector.server_info()
    assert (info.url, info.version[:2]) == (mlflow_server, "3.")
    assert connector.ping()


def test_experiments_are_made_once_by_many(connector: MLflowConnector, name: str) -> None:
    found: list[str] = []
    threads = [
        threading.Thread(
            target=lambda: found.append(connector.get_or_create_experiment(name).experiment_id)
        )
        for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 6
    assert len(set(found)) == 1


def test_a_deleted_experiment_is_restored(connector: MLflowConnector, name: str) -> None:
    made = connector.get_or_create_experiment(name)
    connector.transport.write("POST", "experiments/delete", experiment_id=made.experiment_id)
    again = connector.get_or_create_experiment(name)
    assert (again.experiment_id, again.lifecycle_stage) == (made.experiment_id, "active")


def raw_run(connector: MLflowConnector, experiment_id: str, start: int, **more: Any) -> str:
    body = {"experiment_id": experiment_id, "start_time": start, **more}
    return str(connector.transport.write("POST", "runs/create", **body)["run"]["info"]["run_id"])


@pytest.mark.parametrize("page_size", [1, 2, 3, 100])
def test_every_run_comes_once_in_order(
    connector: MLflowConnector, name: str, page_size: int
) -> None:
    experiment = connector.get_or_create_experiment(name).experiment_id
    starts = [0, 0, 0, 5, 7, 7, 7, 7, 7, 9]
    made = {raw_run(connector, experiment, start): start for start in starts}
    found = [run.run_id for run in connector.iter_runs([experiment], page_size=page_size)]
    assert [made[run_id] for run_id in found] == starts
    assert set(found) == set(made)


def test_runs_added_while_reading_do_not_shift_pages(connector: MLflowConnector, name: str) -> None:
    experiment = connector.get_or_create_experiment(name).experiment_id
    first = {raw_run(connector, experiment, start) for start in (10, 20, 30, 40)}
    found = []
    for run in connector.iter_runs([experiment], page_size=2):
        found.append(run.run_id)
        raw_run(connector, experiment, 1)
    assert first <= set(found)
    assert len(found) == len(set(found))


def test_no_experiments_no_runs(connector: MLflowConnector) -> None:
    with count_requests() as counter:
        assert list(connector.iter_runs([])) == []
    assert counter.value == 0


def test_values_arrive_as_they_were(connector: MLflowConnector, name: str) -> None:
    with connector.start_run(name, run_name="r") as run:
        run.log_metrics({"nan": math.nan, "up": math.inf, "down": -math.inf, "auc": 0.5})
    read = connector.get_run(str(run.mlflow_run_id))
    assert math.isnan(read.metrics.pop("nan"))
    assert read.metrics == {"up": math.inf, "down": -math.inf, "auc": 0.5}
    assert read.is_terminal
    assert read.start_time
    assert read.start_time.tzinfo


def test_absent_things_are_not_found(connector: MLflowConnector, name: str) -> None:
    connector.get_or_create_registered_model(name)
    for call in (
        lambda: connector.get_run("0" * 32),
        lambda: connector.get_registered_model(f"{name}x"),
        lambda: connector.get_model_version(name, 1),
        lambda: connector.get_version_by_alias(name, "production"),
        lambda: connector.get_logged_model(f"m-{'0' * 32}"),
        lambda: connector.set_alias(name, "production", 7),
        lambda: connector.download_artifacts(f"models:/m-{'0' * 32}", Path("/nowhere")),
    ):
        with pytest.raises(NotFound):
            call()
    assert connector.find_experiment(f"{name}x") is None


@pytest.fixture
def version(connector: MLflowConnector, name: str, tiny_model: Path) -> str:
    """The number of a registered version of model `name`."""
    with connector.start_run(name, run_name="r") as run:
        run.log_model(tiny_model, register_as=name)
    return str(run.model_version)


def test_aliases_and_tags_state_goals(connector: MLflowConnector, name: str, version: str) -> None:
    for _ in range(2):
        connector.set_alias(name, "production", version)
        connector.set_version_tag(name, version, "e2i.stage", "production")
        connector.set_registered_model_tag(name, "team", "a")
        connector.update_version_description(name, version, "text, password=hunter2")
    read = connector.get_model_version(name, version)
    assert read.aliases == ("production",)
    assert read.tags["e2i.stage"] == "production"
    assert read.description == "text, password=***"
    assert connector.get_version_by_alias(name, "production").version == version
    listed = {model.name: model for model in connector.iter_registered_models()}[name]
    assert (listed.aliases, listed.tags) == ({"production": version}, {"team": "a"})
    for _ in range(2):
        connector.delete_alias(name, "production")
        connector.delete_version_tag(name, version, "e2i.stage")
        connector.delete_registered_model_tag(name, "team")
    assert connector.get_registered_model(name).aliases == {}
    assert "e2i.stage" not in connector.get_model_version(name, version).tags


def test_artifacts_come_back_as_they_went(
    connector: MLflowConnector, name: str, version: str, tiny_model: Path, tmp_path: Path
) -> None:
    source = connector.get_model_version(name, version)
    connector.set_alias(name, "production", version)
    for uri in (source.source, source.uri, f"models:/{name}@production"):
        target = tmp_path / uri.replace("/", "_")
        connector.download_artifacts(uri, target)
        files = {file.relative_to(target) for file in target.rglob("*") if file.is_file()}
        assert files == {Path("MLmodel"), Path("sub/weights é.bin")}
        original = (tiny_model / "sub/weights é.bin").read_bytes()
        assert (target / "sub/weights é.bin").read_bytes() == original
    paths = {item.path for item in connector.list_artifacts(model_id=source.model_id)}
    assert paths == {"MLmodel", "sub"}
    assert connector.read_artifact(f"{source.source}/MLmodel") == b"flavors: {}\n"
    with pytest.raises(Rejected, match="larger"):
        connector.read_artifact(f"{source.source}/sub/weights é.bin", limit=100)


def test_run_artifacts(connector: MLflowConnector, name: str, tmp_path: Path) -> None:
    with connector.start_run(name, run_name="r") as run:
        run.log_text("one", "texts/a b.txt")
    connector.log_text_artifact(str(run.mlflow_run_id), "texts/two.txt", "token=hunter2")
    run_id = str(run.mlflow_run_id)
    paths = {item.path for item in connector.list_artifacts(run_id=run_id, recursive=True)}
    assert paths == {"texts/a b.txt", "texts/two.txt"}
    file = connector.download_artifacts(f"runs:/{run_id}/texts/two.txt", tmp_path / "two.txt")
    assert file.read_text() == "token=***"
    with pytest.raises(NotFound):
        connector.download_artifacts(f"runs:/{run_id}/nothing", tmp_path / "nothing")
    assert not (tmp_path / "nothing").exists()
    with pytest.raises(InvalidInput, match="exists already"):
        connector.download_artifacts(f"runs:/{run_id}", file)


@pytest.mark.parametrize("mode", ["refuse", "error", "drop", "truncate"])
def test_a_broken_line_is_unreachable_and_reads_are_retried(
    proxy: FaultProxy, through: Through, mode: str
) -> None:
    connector = through(QUICK)
    proxy.fault(mode, "version", times=2)
    assert connector.server_info().version
    assert sum("version" in each for each in proxy.requests) == 3
    proxy.fault(mode)
    with pytest.raises(Unreachable):
        connector.server_info()
    assert connector.breaker().state == "closed"
    with pytest.raises(Unreachable):
        connector.server_info()
    assert connector.breaker().state == "open"


def test_a_broken_download_leaves_nothing(
    proxy: FaultProxy, through: Through, connector: MLflowConnector, name: str, tmp_path: Path
) -> None:
    with connector.start_run(name, run_name="r") as run:
        run.log_text("x" * 100_000, "big.txt")
    proxy.fault("truncate", "big.txt", times=1)
    target = tmp_path / "big"
    with pytest.raises(Unreachable):
        through(ONCE).download_artifacts(f"runs:/{run.mlflow_run_id}", target)
    assert not target.exists()
    assert not list(tmp_path.glob(".download-*"))
    proxy.fault("truncate", "big.txt", times=1)
    through(QUICK).download_artifacts(f"runs:/{run.mlflow_run_id}", target)
    assert (target / "big.txt").stat().st_size == 100_000


def test_a_write_that_is_not_repeatable_is_sent_once(
    proxy: FaultProxy, through: Through, name: str
) -> None:
    proxy.fault("error", "experiments/create")
    with pytest.raises(Unreachable):
        through(QUICK).get_or_create_experiment(name)
    assert sum("experiments/create" in each for each in proxy.requests) == 1


def test_answers_with_4xx_never_open_the_breaker(
    proxy: FaultProxy, through: Through, name: str
) -> None:
    connector = through(QUICK)
    for _ in range(8):
        with pytest.raises(NotFound):
            connector.get_run("0" * 32)
        with pytest.raises(Rejected):
            list(connector.iter_runs(["0"], filter="nonsense !"))
    assert len(proxy.requests) == 16
    assert connector.breaker().state == "closed"


def test_busy_is_retried_and_not_counted(proxy: FaultProxy, through: Through) -> None:
    connector = through(QUICK)
    proxy.fault("busy", times=2)
    assert connector.ping()
    proxy.fault("busy")
    with pytest.raises(Unreachable) as caught:
        connector.ping()
    assert caught.value.retry_after == 7
    assert connector.breaker().failures == 0


def test_silence_ends_by_timeout(proxy: FaultProxy, through: Through) -> None:
    proxy.fault("hang")
    with pytest.raises(Unreachable, match="does not answer"):
        through(ONCE, timeout=0.2).ping()


def test_an_open_breaker_asks_nobody(proxy: FaultProxy, through: Through) -> None:
    connector = through(ONCE)
    proxy.fault("refuse")
    for _ in range(5):
        with pytest.raises(Unreachable):
            connector.ping()
    asked = len(proxy.requests)
    with pytest.raises(Unreachable, match="not asked"):
        connector.ping()
    assert len(proxy.requests) == asked


class SomePage(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", "6")
        self.end_headers()
        self.wfile.write(b"<html>")

    def log_message(self, *_: object) -> None:
        pass


def test_a_page_that_is_not_mlflow_is_told_apart(tmp_path: Path) -> None:
    with HTTPServer(("127.0.0.1", 0), SomePage) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://user:hunter2@127.0.0.1:{server.server_port}"
        with pytest.raises(Rejected, match="is MLFLOW_TRACKING_URI") as caught:
            list(MLflowConnector(url, tmp_path, policy=ONCE).iter_experiments())
        server.shutdown()
    assert "hunter2" not in str(caught.value)


def test_conflict_is_also_the_one_of_core() -> None:
    from e2i_site.core.errors import Conflict as CoreConflict

    assert issubclass(Conflict, CoreConflict)


@pytest.fixture
def memory_store() -> Iterator[MemoryStore]:
    """The shared connector's breaker without a database."""
    store, before = MemoryStore(), shared._store
    shared.set_breaker_store(store)
    yield store
    shared.set_breaker_store(before)


def test_one_connector_a_process_also_after_a_fork(
    mlflow_server: str, tmp_path: Path, memory_store: MemoryStore
) -> None:
    with override_settings(MLFLOW_TRACKING_URI=mlflow_server, MLFLOW_JOURNAL_DIR=tmp_path):
        parent = get_connector()
        assert parent is get_connector()
        assert parent.ping()
        child = os.fork()
        if child == 0:
            code = 1
            try:
                mine = get_connector()
                code = 0 if mine is not parent and mine.ping() and parent.ping() else 2
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert parent.ping()
        parent.close()


def test_a_shared_store_replaces_the_own(tmp_path: Path, memory_store: MemoryStore) -> None:
    with override_settings(MLFLOW_JOURNAL_DIR=tmp_path):
        assert get_connector().transport.breaker.store is memory_store


def test_credentials_of_the_environment_are_sent(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def headers() -> dict[str, str]:
        client = MLflowConnector("http://127.0.0.1:9", tmp_path).transport._new_client()
        request = client.build_request("GET", "/")
        if client.auth:
            request = next(client.auth.sync_auth_flow(request))
        return dict(request.headers)

    assert "authorization" not in headers()
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "abc")
    assert headers()["authorization"] == "Bearer abc"
    secret = tmp_path / "password"
    secret.write_text("hunter2\n")
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "me")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD_FILE", str(secret))
    assert headers()["authorization"].startswith("Basic ")
