"""Whatever people do in MLflow, in whatever order, with syncs and crashes in between: the mirror
never shows what was never true, and after a full sync it equals MLflow exactly.

E2I_TEST_WALKS=20 walks longer and further, with restarts of MLflow.
"""

from __future__ import annotations

import json
import math
import os
import random
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from e2i_site.activity.models import MlflowEvent
from e2i_site.mlflow_connector import MLflowConnector, get_connector
from registry.models import RegisteredModel, RegistryEntry
from registry.sync import sync
from tests.faults import FaultProxy
from tests.mlflow_process import start_server, stop_group
from training.models import MlflowExperiment, TrainingRun

WALKS = int(os.environ.get("E2I_TEST_WALKS", "2"))
STEPS = 45 if WALKS <= 2 else 150
KEYS = ("a", "b", "ü/x")
VALUES = (0.5, -1.0, math.inf, math.nan, 1e-300)
GONE = "gone"
State = str


class Killed(BaseException):
    """The process that synced is no more."""


class Server:
    """A real MLflow that can be restarted, behind a line that can be cut."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.process, self.url = start_server(folder)
        self.proxy = FaultProxy(self.url)

    def restart(self) -> None:
        stop_group(self.process.pid)
        port = int(self.url.rpartition(":")[2])
        self.process, self.url = start_server(self.folder, port)

    def stop(self) -> None:
        self.proxy.close()
        stop_group(self.process.pid)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("walked"))
    yield server
    server.stop()


@pytest.fixture(autouse=True)
def quiet_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("e2i_site.jobs.tasks.run.apply_async", lambda *args, **kwargs: None)


class Walk:
    """Random acts of people, and everything that was ever true."""

    def __init__(self, server: Server, connector: MLflowConnector, seed: int) -> None:
        self.random = random.Random(seed)
        self.server, self.connector = server, connector
        self.people = MLflowConnector(server.url, connector.journal_dir)
        self.ever: dict[Any, set[State]] = defaultdict(set)
        self.now: dict[Any, State] = {}
        self.count = 0
        self.see()

    # --- acts ---

    def act(self) -> str:
        acts: list[Callable[[], None]] = [
            self.experiment, self.run, self.run, self.run, self.log, self.log, self.log, self.late,
            self.end, self.end, self.delete_run, self.restore_run, self.rename_run,
            self.delete_experiment, self.restore_experiment, self.model, self.version,
            self.version, self.alias, self.alias, self.drop_alias, self.version_tag,
            self.drop_version, self.rename_model, self.drop_model,
        ]  # fmt: skip
        act = self.random.choice(acts)
        act()
        self.see()
        return act.__name__

    def post(self, path: str, method: str = "POST", **body: Any) -> Any:
        return self.people.transport.write(method, path, **body)

    def name(self, kind: str) -> str:
        self.count += 1
        return f"{kind} ž{time.time_ns()}-{self.count}"

    def one(self, kind: str, *, deleted: bool | None = False) -> Any:
        """Any thing of a kind, or None."""
        found = [
            key
            for key, state in self.now.items()
            if key[0] == kind and state != GONE
            if deleted is None or json.loads(state).get("deleted", False) == deleted
        ]
        return self.random.choice(found) if found else None

    def experiment(self) -> None:
        self.post("experiments/create", name=self.name("experiment"))

    def run(self) -> None:
        if (experiment := self.one("experiment")) is None:
            return
        start = int(time.time() * 1000) - self.random.choice((0, 0, 1, 3_600_000, 10**12))
        self.post("runs/create", experiment_id=experiment[1], start_time=max(start, 0))

    def log(self) -> None:
        if (run := self.one("run")) is None:
            return
        key, value = self.random.choice(KEYS), self.random.choice(VALUES)
        sent = value if math.isfinite(value) else str(value).replace("inf", "Infinity")
        sent = "NaN" if math.isnan(value) else sent
        metric = {"key": key, "value": sent, "timestamp": self.count, "step": self.count}
        tag = {"key": self.random.choice(KEYS), "value": self.name("tag")}
        self.post("runs/log-batch", run_id=run[1], metrics=[metric], tags=[tag])

    def late(self) -> None:
        if (run := self.one("run")) is not None:
            param = {"key": self.name("param"), "value": "π"}
            self.post("runs/log-batch", run_id=run[1], params=[param])

    def end(self) -> None:
        if (run := self.one("run")) is not None:
            status = self.random.choice(("FINISHED", "FAILED", "KILLED"))
            now = int(time.time() * 1000)
            self.post("runs/update", run_id=run[1], status=status, end_time=now)

    def rename_run(self) -> None:
        if (run := self.one("run")) is not None:
            self.post("runs/update", run_id=run[1], run_name=self.name("renamed"))

    def delete_run(self) -> None:
        if (run := self.one("run")) is not None:
            self.post("runs/delete", run_id=run[1])

    def restore_run(self) -> None:
        if (run := self.one("run", deleted=True)) is not None:
            self.post("runs/restore", run_id=run[1])

    def delete_experiment(self) -> None:
        experiment = self.one("experiment")
        if experiment is not None and experiment[1] != "0":
            self.post("experiments/delete", experiment_id=experiment[1])

    def restore_experiment(self) -> None:
        if (experiment := self.one("experiment", deleted=True)) is not None:
            self.post("experiments/restore", experiment_id=experiment[1])

    def model(self) -> None:
        self.post("registered-models/create", name=self.name("model").replace(" ", "_"))

    def version(self) -> None:
        if (model := self.one("model")) is not None:
            self.post("model-versions/create", name=model[1], source="s3://somewhere/else")

    def alias(self) -> None:
        if (version := self.one("version")) is not None:
            body = {"name": version[1], "version": version[2], "alias": self.random.choice("xy")}
            self.post("registered-models/alias", **body)

    def drop_alias(self) -> None:
        if (model := self.one("model")) is not None:
            body = {"name": model[1], "alias": self.random.choice("xy")}
            self.post("registered-models/alias", "DELETE", **body)

    def version_tag(self) -> None:
        if (version := self.one("version")) is not None:
            self.people.set_version_tag(version[1], version[2], "t", self.name("tag"))

    def drop_version(self) -> None:
        if (version := self.one("version")) is not None:
            self.post("model-versions/delete", "DELETE", name=version[1], version=version[2])

    def rename_model(self) -> None:
        if (model := self.one("model")) is not None:
            new = self.name("new").replace(" ", "_")
            self.post("registered-models/rename", name=model[1], new_name=new)

    def drop_model(self) -> None:
        if (model := self.one("model")) is not None and self.random.random() < 0.4:
            self.post("registered-models/delete", "DELETE", name=model[1])

    # --- what is true ---

    def see(self) -> None:
        """Read all of MLflow; what it does not list any more is gone."""
        self.now = dict.fromkeys(self.now, GONE) | dict(_in_mlflow(self.people))
        for key, state in self.now.items():
            self.ever[key].add(state)

    def check_nothing_was_invented(self) -> None:
        for key, state in _in_rows():
            assert state in self.ever[key], (key, state, self.ever[key])
        for event in MlflowEvent.objects.filter(subject_kind="run", kind="metric_added"):
            states = [json.loads(s) for s in self.ever["run", event.subject_id] if s != GONE]
            assert any(s["metrics"].get(event.key) == event.after for s in states)
        for event in MlflowEvent.objects.filter(kind__in=("alias_set", "alias_moved")):
            states = [json.loads(s) for s in self.ever["model", event.subject_id] if s != GONE]
            assert any(s["aliases"].get(event.key) == event.after for s in states)

    def check_equal(self) -> None:
        rows = dict(_in_rows())
        present = {key: state for key, state in self.now.items() if state != GONE}
        assert {key: rows.get(key) for key in present} == present
        assert {key for key, state in rows.items() if state != GONE} == set(present)


def _plain(value: float) -> float | str:
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")


def _state(**facts: Any) -> State:
    return json.dumps(facts, sort_keys=True)


def _in_mlflow(people: MLflowConnector) -> Iterator[tuple[Any, State]]:
    experiments = list(people.iter_experiments())
    for each in experiments:
        deleted = each.lifecycle_stage == "deleted"
        yield ("experiment", each.experiment_id), _state(name=each.name, deleted=deleted)
    for run in people.iter_runs([each.experiment_id for each in experiments]):
        yield (
            ("run", run.run_id),
            _state(
                deleted=run.is_deleted,
                status=run.status.lower(),
                name=run.name,
                params=run.params,
                tags=run.tags,
                metrics={key: _plain(value) for key, value in run.metrics.items()},
            ),
        )
    for model in people.iter_registered_models():
        yield ("model", model.name), _state(aliases=model.aliases, tags=model.tags)
    for version in people.iter_model_versions():
        yield ("version", version.name, version.version), _state(tags=version.tags)


def _in_rows() -> Iterator[tuple[Any, State]]:
    """What our tables say. A run's row never goes: MLflow keeps deleted runs."""
    for each in MlflowExperiment.objects.all():
        yield ("experiment", each.mlflow_id), _state(name=each.name, deleted=each.deleted)
    for run in TrainingRun.objects.all():
        yield (
            ("run", run.mlflow_run_id),
            _state(
                deleted=run.deleted_in_mlflow,
                status=run.status,
                name=run.run_name,
                params=run.params,
                tags=run.tags,
                metrics=run.metrics,
            ),
        )
    for model in RegisteredModel.objects.all():
        there = _state(aliases=model.aliases, tags=model.tags)
        yield ("model", model.name), GONE if model.deleted_in_mlflow else there
    for entry in RegistryEntry.objects.all():
        there = _state(tags=entry.tags)
        key = ("version", entry.model_id, str(entry.model_version))
        yield key, GONE if entry.deleted_in_mlflow else there


def _killed_after(calls: int) -> Callable[..., None]:
    left = [calls]

    def progress(*args: Any) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise Killed

    return progress


def _sync_somehow(walk: Walk, settings: Any) -> None:
    """A sync of any kind, whole, killed at some point, or over a line that breaks."""
    chance = walk.random
    if hasattr(settings, "MLFLOW_BACKEND_STORE_URI"):
        store = f"sqlite:///{walk.server.folder / 'mlflow.sqlite3'}"
        settings.MLFLOW_BACKEND_STORE_URI = chance.choice(("", store))
    full = chance.random() < 0.4
    how = chance.choice(("whole", "whole", "killed", "line"))
    if how == "line":
        mode = chance.choice(("drop", "truncate", "busy"))
        walk.server.proxy.fault(mode, "search", skip=chance.randrange(4), times=1)
    try:
        sync(full=full, progress=_killed_after(chance.randrange(6)) if how == "killed" else None)
    except Killed:
        assert how == "killed"
    except Exception:
        assert how == "line"
    finally:
        walk.server.proxy.heal()


@pytest.mark.timeout(600 if WALKS > 2 else 180)
@pytest.mark.parametrize("seed", range(WALKS))
def test_the_mirror_tells_the_truth(
    seed: int, server: Server, db: None, settings: Any, tmp_path: Path
) -> None:
    settings.MLFLOW_TRACKING_URI = server.proxy.url
    settings.MLFLOW_JOURNAL_DIR = tmp_path / "journals"
    walk = Walk(server, get_connector(), seed)
    did = []
    for step in range(STEPS):
        did.append(walk.act())
        if walk.random.random() < 0.2:
            _sync_somehow(walk, settings)
            did.append("sync")
            walk.check_nothing_was_invented()
        if WALKS > 2 and step == STEPS // 2:
            server.restart()
    sync(full=True)
    walk.see()
    walk.check_nothing_was_invented()
    walk.check_equal()
    again = sync(full=True)
    assert (again.runs.updated, again.models.updated, again.versions.updated) == (0, 0, 0), did
