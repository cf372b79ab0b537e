"""The mirror of MLflow, against a server of its own so that every number can be checked."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.utils import timezone

from e2i_site.jobs.handlers import Wait, find
from e2i_site.jobs.models import BreakerRecord, Job
from e2i_site.mlflow_connector import MLflowConnector, Unreachable, get_connector
from e2i_site.mlflow_connector.delivery import JOURNAL_TAG
from e2i_site.trail.models import TrailEntry
from registry import sync as module
from registry.choices import Stage
from registry.models import RegisteredModel, RegistryEntry, SyncState
from registry.sync import SyncBusy, SyncReport, sync
from tests.factories.training import TrainingRunFactory
from tests.mlflow_process import start_server, stop_group
from training.choices import RunRole, RunSource, RunStatus
from training.models import MlflowExperiment, RunMetric, TrainingRun


@pytest.fixture(scope="module")
def own_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    process, url = start_server(tmp_path_factory.mktemp("mlflow"))
    yield url
    stop_group(process.pid)


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

    def post(self, path: str, **body: Any) -> None:
        self.connector.transport.write("POST", path, **body)


@pytest.fixture
def world(mlflow: MLflowConnector) -> World:
    return World(mlflow)


def only_unchanged(report: SyncReport) -> bool:
    """True when nothing was written for anything that was seen."""
    kinds = (report.experiments, report.runs, report.models, report.versions)
    return all(each.seen == each.unchanged for each in kinds) and not any(
        each.created + each.updated + each.deleted for each in kinds
    )


def sweep_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SWEEP_EVERY", timedelta(0))
    monkeypatch.setattr(module, "SWEEP_SHARE", 0)


def test_others_runs_become_rows(world: World) -> None:
    experiment = world.experiment("theirs")
    parent = world.run(experiment, run_name="search", user_id="ann")
    child = world.run(experiment, tags={"mlflow.parentRunId": parent})
    world.log(
        parent,
        params={"alpha": "0.1", "algorithm_name": "Ridge"},
        metrics={"rmse": 1.5, "bad": "NaN", "huge": "Infinity"},
    )
    world.end(parent, "FAILED")
    first = sync()
    assert first.mode == "full"
    row = TrainingRun.objects.get(mlflow_run_id=parent)
    assert (row.source, row.status, row.run_name) == ("mlflow", "failed", "search")
    assert (row.algorithm, row.user_name) == ("Ridge", "ann")
    assert row.params == {"alpha": "0.1", "algorithm_name": "Ridge"} == row.hyperparameters
    assert row.metrics == {"rmse": 1.5, "bad": "NaN", "huge": "Infinity"}
    indexed = dict(RunMetric.objects.filter(run=row).values_list("key", "value"))
    assert indexed == {"rmse": 1.5, "huge": float("inf")}
    assert row.mlflow_available
    assert row.completed_at
    assert row.started_at
    assert row.duration_seconds is not None
    nested = TrainingRun.objects.get(mlflow_run_id=child)
    assert (nested.parent, nested.role, nested.status) == (row, RunRole.TRIAL, RunStatus.RUNNING)
    assert nested.completed_at is None
    mirrored = MlflowExperiment.objects.get(mlflow_id=experiment)
    assert (mirrored.experiment, mirrored.agent_type, mirrored.deleted) == (None, "", False)
    again = sync()
    assert again.mode == "incremental"
    assert only_unchanged(again)
    assert only_unchanged(sync(full=True))


def test_what_changes_in_a_run_arrives(world: World) -> None:
    experiment = world.experiment("theirs")
    run = world.run(experiment)
    sync()
    world.log(run, metrics={"auc": 0.5})
    world.end(run)
    report = sync()
    row = TrainingRun.objects.get(mlflow_run_id=run)
    assert (row.status, row.metrics) == ("finished", {"auc": 0.5})
    assert list(row.metric_rows.values_list("key", "value")) == [("auc", 0.5)]
    assert (report.runs.created, report.runs.updated) == (0, 1)
    new = world.run(experiment)
    assert sync().runs.created == 1
    assert TrainingRun.objects.filter(mlflow_run_id=new).exists()


def test_late_edits_and_old_starts_are_found_by_the_sweep(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = world.experiment("theirs")
    old = time.time() - 7 * 86400
    run = world.run(experiment, start=old)
    world.end(run, end=old + 60)
    sync()
    world.connector.set_run_tag(run, "note", "late")
    backdated = world.run(experiment, start=old)
    world.end(backdated, end=old + 60)
    assert sync().runs.created == 0
    sweep_at_once(monkeypatch)
    report = sync()
    assert (report.runs.created, report.runs.updated) == (1, 1)
    assert TrainingRun.objects.get(mlflow_run_id=run).tags["note"] == "late"


def test_an_experiment_that_reads_slowly_is_swept_less_often() -> None:
    cursor = module.Cursor("u", timezone.now(), {"quick": (1000.0, 0.1), "slow": (1000.0, 60.0)})
    assert cursor.due(["quick", "slow", "new"], 1299.0) == ["new"]
    assert cursor.due(["quick", "slow", "new"], 1301.0) == ["new", "quick"]
    assert cursor.due(["slow"], 1000 + 60 * module.SWEEP_SHARE + 1) == ["slow"]


def test_deleted_and_restored_runs_are_marked(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = world.experiment("theirs")
    run = world.run(experiment)
    sync()
    world.post("runs/delete", run_id=run)
    report = sync()
    assert report.runs.deleted == 1
    assert TrainingRun.objects.get(mlflow_run_id=run).deleted_in_mlflow
    world.post("runs/restore", run_id=run)
    sync()
    assert not TrainingRun.objects.get(mlflow_run_id=run).deleted_in_mlflow


def test_a_deleted_experiment_takes_its_runs_along(world: World) -> None:
    experiment = world.experiment("theirs")
    old = time.time() - 7 * 86400
    run = world.run(experiment, start=old)
    world.end(run, end=old + 1)
    sync()
    world.post("experiments/delete", experiment_id=experiment)
    report = sync()
    assert (report.experiments.deleted, report.runs.deleted) == (1, 1)
    assert MlflowExperiment.objects.get(mlflow_id=experiment).deleted
    world.post("experiments/restore", experiment_id=experiment)
    report = sync()
    assert (report.experiments.updated, report.runs.updated) == (1, 1)
    assert not TrainingRun.objects.get(mlflow_run_id=run).deleted_in_mlflow


def test_rows_of_a_run_that_is_gone_for_good_are_kept(world: World) -> None:
    experiment = world.experiment("theirs")
    sync()
    mirrored = MlflowExperiment.objects.get(mlflow_id=experiment)
    gone = TrainingRunFactory(
        source=RunSource.MLFLOW, mlflow_run_id="f" * 32, mlflow_experiment=mirrored
    )
    MlflowExperiment.objects.create(mlflow_id="999999", name="purged")
    report = sync(full=True)
    gone.refresh_from_db()
    assert gone.deleted_in_mlflow
    assert MlflowExperiment.objects.get(mlflow_id="999999").deleted
    assert (report.runs.deleted, report.experiments.deleted) == (1, 1)
    assert only_unchanged(sync(full=True))


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


def test_own_runs_keep_their_rows(world: World) -> None:
    row = own_run()
    name = f"e2i_model_trainer_{row.experiment.experiment_id}"
    with world.connector.start_run(
        name, run_name="in MLflow", tags={"role": "training"}, journal_id=row.journal_id
    ) as run:
        with world.connector.start_run(
            name, run_name="trial", tags={"role": "trial"}, parent=run
        ) as trial:
            trial.log_params({"hp_depth": 3})
        sync()
        assert list(TrainingRun.objects.filter(role=RunRole.TRAINING)) == [row]
        run.log_metrics({"auc": 0.5})
    sync()
    row.refresh_from_db()
    assert row.mlflow_run_id == run.mlflow_run_id
    assert row.metrics == {"auc": 0.5}
    assert row.tags[JOURNAL_TAG] == row.journal_id
    assert (row.status, row.run_name, row.mlflow_available) == ("running", "mine", False)
    nested = TrainingRun.objects.get(mlflow_run_id=trial.mlflow_run_id)
    assert (nested.source, nested.role, nested.parent) == ("e2i", "trial", row)
    assert nested.experiment == row.experiment
    assert nested.hyperparameters == {"depth": "3"}
    mirrored = MlflowExperiment.objects.get(name=name)
    assert (mirrored.experiment, mirrored.agent_type) == (row.experiment, "model_trainer")
    assert only_unchanged(sync())


def test_odd_values_do_not_stop_it(world: World) -> None:
    experiment = world.experiment("theirs")
    run = world.run(experiment, start=1.7e15, run_name="n" * 600)
    world.log(run, params={"long": "x" * 6000, "unicode": "é☃"})
    zero = world.run(experiment, start=0.0004)
    sync(full=True)
    row = TrainingRun.objects.get(mlflow_run_id=run)
    assert (row.started_at, row.run_name) == (None, "n" * 500)
    assert row.params["unicode"] == "é☃"
    assert TrainingRun.objects.get(mlflow_run_id=zero).started_at is None
    assert only_unchanged(sync(full=True))


def test_others_versions_become_entries(
    world: World, django_capture_on_commit_callbacks: Any
) -> None:
    experiment = world.experiment("theirs")
    run = world.run(experiment, tags={"framework": "sklearn"})
    world.log(run, params={"alpha": "1"}, metrics={"test_roc_auc": 0.75, "test_brier": 7.0})
    world.end(run)
    version = world.version("churn", run, team="a")
    world.connector.set_alias("churn", "production", version)
    world.connector.set_alias("churn", "champion", version)
    report = sync()
    assert (report.models.created, report.versions.created) == (1, 1)
    model = RegisteredModel.objects.get(name="churn")
    assert model.aliases == {"production": "1", "champion": "1"}
    assert model.synced_at
    entry = RegistryEntry.objects.get(model=model, model_version=1)
    row = TrainingRun.objects.get(mlflow_run_id=run)
    assert (entry.stage, entry.is_champion) == (Stage.DEVELOPMENT, True)
    assert (entry.training_run, row.registry_entry) == (row, entry)
    assert (entry.mlflow_run_id, entry.mlflow_model_uri) == (run, f"runs:/{run}/model")
    assert (entry.auc, entry.brier_score, entry.framework) == (0.75, None, "sklearn")
    assert (entry.artifact_digest, entry.tags) == ("", {"team": "a"})
    assert entry.registered_at
    (change,) = entry.stage_changes.all()
    assert (change.from_stage, change.to_stage, change.cause) == ("", "development", "registered")
    assert TrailEntry.objects.filter(event="registry.version.registered").count() == 1
    job = Job.objects.get(kind="registry.fingerprint")
    assert job.payload == {"entry": entry.pk}
    assert only_unchanged(sync())
    assert Job.objects.filter(kind="registry.fingerprint").count() == 1


def test_moves_past_review_are_shown_but_not_obeyed(world: World) -> None:
    run = world.run(world.experiment("theirs"))
    first, second = world.version("churn", run), world.version("churn", run)
    sync()
    RegistryEntry.objects.filter(model_id="churn", model_version=1).update(
        stage=Stage.PRODUCTION, artifact_digest="a" * 64
    )
    world.connector.set_alias("churn", "production", second)
    world.connector.set_version_tag("churn", first, "e2i.stage", "archived")
    report = sync()
    assert (report.models.updated, report.versions.updated) == (1, 1)
    assert RegisteredModel.objects.get(name="churn").aliases == {"production": second}
    stages = dict(RegistryEntry.objects.values_list("model_version", "stage"))
    assert stages == {1: "production", 2: "development"}
    entry = RegistryEntry.objects.get(model_version=1)
    assert (entry.artifact_digest, entry.tags) == ("a" * 64, {"e2i.stage": "archived"})
    world.connector.delete_alias("churn", "production")
    sync()
    assert RegisteredModel.objects.get(name="churn").aliases == {}


def test_deleted_versions_and_models_are_marked(world: World) -> None:
    run = world.run(world.experiment("theirs"))
    world.version("churn", run)
    world.version("churn", run)
    sync()
    world.connector.transport.write("DELETE", "model-versions/delete", name="churn", version="1")
    assert sync().versions.deleted == 1
    deleted = dict(RegistryEntry.objects.values_list("model_version", "deleted_in_mlflow"))
    assert deleted == {1: True, 2: False}
    world.connector.transport.write("DELETE", "registered-models/delete", name="churn")
    report = sync()
    assert (report.models.deleted, report.versions.deleted) == (1, 1)
    assert RegisteredModel.objects.get(name="churn").deleted_in_mlflow
    assert only_unchanged(sync())


def test_own_versions_are_left_to_whoever_delivers_them(world: World, tmp_path: Path) -> None:
    row = own_run()
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "MLmodel").write_text("flavors: {}\n")
    name = f"e2i_model_trainer_{row.experiment.experiment_id}"
    model = f"e2i_{row.experiment.experiment_id}_lightgbm"
    with world.connector.start_run(name, run_name="r", journal_id=row.journal_id) as run:
        run.log_model(folder, register_as=model)
    sync()
    assert RegisteredModel.objects.get(name=model).experiment == row.experiment
    assert not RegistryEntry.objects.exists()
    TrainingRun.objects.filter(pk=row.pk).update(mlflow_available=True)
    assert sync().versions.created == 1
    entry = RegistryEntry.objects.get()
    assert (entry.training_run, entry.experiment) == (row, row.experiment)
    assert entry.mlflow_model_uri == run.model_uri


def test_prompts_are_no_models(world: World) -> None:
    world.connector.get_or_create_registered_model("greeting")
    world.connector.set_registered_model_tag("greeting", "mlflow.prompt.is_prompt", "true")
    sync()
    assert not RegisteredModel.objects.exists()


def test_the_state_says_when_and_why_not(world: World, settings: Any) -> None:
    report = sync()
    state = SyncState.objects.get()
    assert (state.mode, state.error, state.counts) == ("full", "", report.as_dict())
    assert state.succeeded_at
    assert state.server_version[:2] == "3."
    assert state.lease_token is None
    good = settings.MLFLOW_TRACKING_URI
    settings.MLFLOW_TRACKING_URI = "http://user:hunter2@127.0.0.1:9"
    with pytest.raises(Unreachable):
        sync()
    failed = SyncState.objects.get()
    assert failed.failed_at
    assert "does not answer" in failed.error
    assert "hunter2" not in failed.error
    assert (failed.succeeded_at, failed.lease_token) == (state.succeeded_at, None)
    with pytest.raises(Wait, match="Waits for MLflow"):
        find("mlflow.sync").function(FakeContext())  # type: ignore[arg-type]
    settings.MLFLOW_TRACKING_URI = good
    BreakerRecord.objects.all().delete()
    sync()
    assert SyncState.objects.get().error == ""


class FakeContext:
    payload: dict[str, Any] = {}

    def __init__(self) -> None:
        self.phases: list[str] = []

    def progress(self, phase: str, done: int = 0, total: int = 0) -> None:
        self.phases.append(phase)


def test_the_job_tells_its_progress(world: World) -> None:
    world.run(world.experiment("theirs"))
    context = FakeContext()
    result = find("mlflow.sync").function(context)  # type: ignore[arg-type]
    assert result["mode"] == "full"
    assert context.phases[0] == "Experiments"
    assert "Runs" in context.phases
    assert context.phases[-1] == "Registry"


def test_two_syncs_exclude_each_other(world: World) -> None:
    SyncState.objects.create(
        lease_token="0" * 32, lease_expires_at=timezone.now() + timedelta(minutes=1)
    )
    with pytest.raises(SyncBusy):
        sync()
    with pytest.raises(Wait):
        find("mlflow.sync").function(FakeContext())  # type: ignore[arg-type]
    SyncState.objects.update(lease_expires_at=timezone.now() - timedelta(seconds=1))
    assert sync().mode == "full"


def test_a_sync_that_lost_its_lease_stops(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LEASE", timedelta(0))

    def steal(phase: str, done: int) -> None:
        SyncState.objects.update(lease_token="1" * 32)

    with pytest.raises(SyncBusy, match="took over"):
        sync(progress=steal)
    assert SyncState.objects.get().lease_token


def test_another_server_is_read_anew(world: World) -> None:
    sync()
    SyncState.objects.update(cursor={"url": "http://elsewhere", "since": "x", "sweeps": {}})
    assert sync().mode == "full"


def test_the_command_prints_one_document(world: World) -> None:
    world.run(world.experiment("theirs"))
    out = StringIO()
    call_command("sync_mlflow", "--full", "--json", stdout=out)
    document = json.loads(out.getvalue())
    assert document["mode"] == "full"
    assert document["requests"] >= 5
    assert document["seconds"] > 0
    for kind in ("experiments", "runs", "models", "versions"):
        assert set(document[kind]) == {"seen", "created", "updated", "deleted", "unchanged"}
    out = StringIO()
    call_command("sync_mlflow", stdout=out)
    assert "MLflow mirrored (incremental)" in out.getvalue()


def test_the_command_says_why_not(db: None, settings: Any, capsys: Any) -> None:
    settings.MLFLOW_TRACKING_URI = "http://127.0.0.1:9"
    err = StringIO()
    with pytest.raises(SystemExit) as caught:
        call_command("sync_mlflow", "--json", stderr=err)
    assert caught.value.code == 1
    assert "was not mirrored" in err.getvalue()


def test_numbers_of_queries_do_not_grow_with_runs(
    world: World, django_assert_max_num_queries: Any
) -> None:
    experiment = world.experiment("theirs")
    for _ in range(30):
        world.run(experiment)
    sync()
    groups = MlflowExperiment.objects.count() // module.SWEEP_GROUP + 1
    with django_assert_max_num_queries(40 + 8 * groups):
        assert sync(full=True).runs.seen == TrainingRun.objects.count()


@pytest.mark.django_db(transaction=True)
def test_many_syncs_at_once_make_each_row_once(
    own_server: str, transactional_db: None, settings: Any, tmp_path: Path
) -> None:
    settings.MLFLOW_TRACKING_URI = own_server
    settings.MLFLOW_JOURNAL_DIR = tmp_path
    world = World(get_connector())
    run = world.run(world.experiment("theirs"))
    outcomes: list[str] = []

    def work() -> None:
        try:
            sync(full=True)
            outcomes.append("done")
        except SyncBusy:
            outcomes.append("busy")
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(outcomes) == 4
    assert "done" in outcomes
    assert TrainingRun.objects.filter(mlflow_run_id=run).count() == 1
