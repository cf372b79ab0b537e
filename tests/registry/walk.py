"""Random acts of people in MLflow, and everything that was ever true there."""

from __future__ import annotations

import json
import math
import random
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

from e2i_site.activity.models import MlflowEvent
from e2i_site.mlflow_connector import MLflowConnector
from registry.models import RegisteredModel, RegistryEntry
from training.models import LoggedModel, MlflowExperiment, RunMetric, TrainingRun

KEYS = ("a", "b", "ü/x")
VALUES = (0.5, -1.0, math.inf, math.nan, 1e-300)
GONE = "gone"
RUNS, MODELS = "runs", "models"
State = str


class Walk:
    """`now` is what MLflow says, `ever` all that it said after some act."""

    def __init__(self, people: MLflowConnector, seed: int) -> None:
        self.random = random.Random(seed)
        self.people = people
        self.ever: dict[Any, set[State]] = defaultdict(set)
        self.now: dict[Any, State] = {}
        self.count = 0
        self.did: list[str] = []
        self.see(RUNS, MODELS)

    # --- acts ---

    def act(self) -> None:
        """Do anything that people can do, and see what came of it."""
        part, acts = self.random.choices((self._on_runs(), self._on_models()), (3, 2))[0]
        act = self.random.choice(acts)
        act()
        self.did.append(act.__name__)
        self.see(part)

    def _on_runs(self) -> tuple[str, list[Callable[[], None]]]:
        return RUNS, [
            self.experiment, self.run, self.run, self.run, self.log, self.log, self.log, self.late,
            self.drop_tag, self.end, self.end, self.delete_run, self.restore_run, self.rename_run,
            self.rename_experiment, self.tag_experiment, self.delete_experiment,
            self.restore_experiment, self.logged_model, self.tag_logged, self.drop_logged,
        ]  # fmt: skip

    def _on_models(self) -> tuple[str, list[Callable[[], None]]]:
        return MODELS, [
            self.model, self.version, self.version, self.alias, self.alias, self.drop_alias,
            self.version_tag, self.drop_version_tag, self.model_tag, self.describe,
            self.drop_version, self.rename_model, self.drop_model,
        ]  # fmt: skip

    def post(self, path: str, method: str = "POST", **body: Any) -> Any:
        return self.people.transport.write(method, path, **body)

    def name(self, kind: str) -> str:
        self.count += 1
        return f"{kind} ž{time.time_ns()}-{self.count}"

    def one(self, kind: str, *, deleted: bool = False) -> Any:
        """Any thing of a kind, or None."""
        found = [
            key
            for key, state in self.now.items()
            if key[0] == kind and state != GONE
            if json.loads(state).get("deleted", False) == deleted
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

    def drop_tag(self) -> None:
        run = self.one("run")
        tags = json.loads(self.now[run])["tags"].keys() & set(KEYS) if run else ()
        if tags:
            self.post("runs/delete-tag", run_id=run[1], key=self.random.choice(sorted(tags)))

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

    def rename_experiment(self) -> None:
        if (experiment := self.one("experiment")) is not None:
            name = self.name("renamed")
            self.post("experiments/update", experiment_id=experiment[1], new_name=name)

    def tag_experiment(self) -> None:
        if (experiment := self.one("experiment")) is not None:
            tag = {"key": self.random.choice(KEYS), "value": self.name("tag")}
            self.post("experiments/set-experiment-tag", experiment_id=experiment[1], **tag)

    def delete_experiment(self) -> None:
        experiment = self.one("experiment")
        if experiment is not None and experiment[1] != "0":
            self.post("experiments/delete", experiment_id=experiment[1])

    def restore_experiment(self) -> None:
        if (experiment := self.one("experiment", deleted=True)) is not None:
            self.post("experiments/restore", experiment_id=experiment[1])

    def logged_model(self) -> None:
        if (experiment := self.one("experiment")) is not None:
            self.post("logged-models", experiment_id=experiment[1], name=f"m{self.count}")

    def tag_logged(self) -> None:
        if (model := self.one("logged")) is not None:
            tags = [{"key": "t", "value": self.name("tag")}]
            self.post(f"logged-models/{model[1]}/tags", "PATCH", tags=tags)

    def drop_logged(self) -> None:
        if (model := self.one("logged")) is not None:
            self.post(f"logged-models/{model[1]}", "DELETE")

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

    def drop_version_tag(self) -> None:
        if (version := self.one("version")) is not None and "t" in json.loads(self.now[version])[
            "tags"
        ]:
            body = {"name": version[1], "version": version[2], "key": "t"}
            self.post("model-versions/delete-tag", "DELETE", **body)

    def model_tag(self) -> None:
        if (model := self.one("model")) is not None:
            self.people.set_registered_model_tag(model[1], "t", self.name("tag"))

    def describe(self) -> None:
        if (version := self.one("version")) is not None:
            body = {"name": version[1], "version": version[2], "description": self.name("text")}
            self.post("model-versions/update", "PATCH", **body)

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

    def see(self, *parts: str) -> None:
        """Read a part of MLflow; what it does not list any more is gone."""
        for part in parts:
            kinds = ("experiment", "run", "logged") if part == RUNS else ("model", "version")
            gone = {key: GONE for key in self.now if key[0] in kinds}
            self.now |= gone | dict(_runs(self.people) if part == RUNS else _models(self.people))
        for key, state in self.now.items():
            self.ever[key].add(state)

    def check_nothing_was_invented(self) -> None:
        """Every row says what was true at some moment, and so does every event."""
        for key, state in in_rows():
            assert state in self.ever[key], (key, state, self.ever[key], self.did)
        self._check_the_index_of_metrics()
        for event in MlflowEvent.objects.filter(subject_kind="run", kind="metric_added"):
            states = [json.loads(s) for s in self.ever["run", event.subject_id] if s != GONE]
            assert any(s["metrics"].get(event.key) == event.after for s in states)
        for event in MlflowEvent.objects.filter(kind__in=("alias_set", "alias_moved")):
            states = [json.loads(s) for s in self.ever["model", event.subject_id] if s != GONE]
            assert any(s["aliases"].get(event.key) == event.after for s in states)

    def _check_the_index_of_metrics(self) -> None:
        index = RunMetric.objects.values_list("run_id", "key", "value")
        wanted = {
            (pk, key, value)
            for pk, metrics in TrainingRun.objects.values_list("pk", "metrics")
            for key, value in metrics.items()
            if value != "NaN"
        }
        assert {(pk, key, _plain(value)) for pk, key, value in index} == wanted, self.did

    def check_equal(self) -> None:
        rows = dict(in_rows())
        present = {key: state for key, state in self.now.items() if state != GONE}
        assert {key: rows.get(key) for key in present} == present, self.did
        assert {key for key, state in rows.items() if state != GONE} == set(present), self.did


def _plain(value: float) -> float | str:
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")


def _state(**facts: Any) -> State:
    return json.dumps(facts, sort_keys=True)


def _runs(people: MLflowConnector) -> Iterator[tuple[Any, State]]:
    experiments = list(people.iter_experiments())
    for each in experiments:
        deleted = each.lifecycle_stage == "deleted"
        said = _state(name=each.name, deleted=deleted, tags=each.tags)
        yield ("experiment", each.experiment_id), said
    ids = [each.experiment_id for each in experiments]
    for run in people.iter_runs(ids):
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
    for model in people.find_logged_models(ids):
        yield ("logged", model.model_id), _state(name=model.name, tags=model.tags)


def _models(people: MLflowConnector) -> Iterator[tuple[Any, State]]:
    for model in people.iter_registered_models():
        yield ("model", model.name), _state(aliases=model.aliases, tags=model.tags)
    for version in people.iter_model_versions():
        said = _state(tags=version.tags, description=version.description)
        yield ("version", version.name, version.version), said


def in_rows() -> Iterator[tuple[Any, State]]:
    """What our tables say. A run's row never goes: MLflow keeps deleted runs."""
    for each in MlflowExperiment.objects.all():
        said = _state(name=each.name, deleted=each.deleted, tags=each.tags)
        yield ("experiment", each.mlflow_id), said
        assert each.hidden_since is None
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
    for logged in LoggedModel.objects.all():
        said = _state(name=logged.name, tags=logged.tags)
        yield ("logged", logged.model_id), GONE if logged.deleted_in_mlflow else said
    for model in RegisteredModel.objects.all():
        said = _state(aliases=model.aliases, tags=model.tags)
        yield ("model", model.name), GONE if model.deleted_in_mlflow else said
    for entry in RegistryEntry.objects.all():
        said = _state(tags=entry.tags, description=entry.description)
        key = ("version", entry.model_id, str(entry.model_version))
        yield key, GONE if entry.deleted_in_mlflow else said
