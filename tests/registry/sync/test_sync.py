"""The mirror of MLflow, against a server of its own so that every number can be checked."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from e2i_site.mlflow_connector.delivery import JOURNAL_TAG
from e2i_site.mlflow_connector.sources import rest
from registry.models import SyncState
from registry.sync import session, sync
from registry.sync import tick as module
from tests.factories.training import TrainingRunFactory
from tests.registry.sync.world import World, only_unchanged, own_run
from training.choices import RunRole, RunSource, RunStatus
from training.models import MlflowExperiment, RunMetric, TrainingRun

WRITES = ("INSERT", "UPDATE", "DELETE", "COPY")


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
    with CaptureQueriesContext(connection) as said:
        assert only_unchanged(sync(full=True))
    writes = [each["sql"] for each in said if each["sql"].startswith(WRITES)]
    assert [sql for sql in writes if "ml_sync_state" not in sql] == []


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


def test_a_first_sync_finds_rows_that_are_there(world: World) -> None:
    run = world.run(world.experiment("theirs"))
    sync()
    TrainingRun.objects.update(deleted_in_mlflow=True, mirror_hash="")
    SyncState.objects.all().delete()
    assert sync().mode == "full"
    assert not TrainingRun.objects.get(mlflow_run_id=run).deleted_in_mlflow


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
        assert list(TrainingRun.objects.filter(role=RunRole.TRAINING, source=RunSource.E2I)) == [
            row
        ]
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


def test_a_start_beyond_all_dates_hides_no_page_and_reads_none_twice(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rest, "FIRST_PAGE", 2)
    monkeypatch.setattr(rest, "LARGEST_PAGE", 2)
    experiment = world.experiment("far")
    for start in (10, 11, 12, 10**15, 10**15 + 1, 10**15 + 2):
        world.run(experiment, start=start)
    seen = sync(full=True).runs.seen
    assert sync(full=True).runs.seen == seen
    assert TrainingRun.objects.filter(mlflow_experiment__mlflow_id=experiment).count() == 6


def test_numbers_of_queries_do_not_grow_with_runs(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "NOTE_EVERY", 3600.0)
    monkeypatch.setattr(rest, "FIRST_PAGE", 1000)  # one page, whatever else is on the server
    experiment = world.experiment("theirs")
    world.run(experiment)
    sync()
    with CaptureQueriesContext(connection) as few:
        sync(full=True)
    for _ in range(20):
        world.run(experiment)
    with CaptureQueriesContext(connection) as many:
        assert sync(full=True).runs.created == 20
    assert len(many) <= len(few) + 10
