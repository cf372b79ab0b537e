"""What MLflow answers wrongly is said, costs nothing that was known, and is asked for again."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from e2i_site.mlflow_connector import get_connector
from e2i_site.mlflow_connector.sources import rest
from registry.models import SyncState
from registry.sync import cursor, session, sync, tick
from tests.faults import FaultProxy
from tests.registry.sync.world import QUICK, World
from training.models import TrainingRun


@pytest.mark.once
@pytest.mark.parametrize("mode", ["corrupt", "error", "truncate", "hang"])
def test_one_experiment_that_cannot_be_read_keeps_no_other_from_it(
    world: World, line: FaultProxy, mode: str
) -> None:
    good, bad, late = (world.experiment(name) for name in ("good", "bad", "late"))
    runs = {each: world.run(each) for each in (good, bad, late)}
    kept = world.run(bad)
    if mode == "hang":
        get_connector().transport._timeout = httpx.Timeout(0.8)
    line.fault(mode, "runs/search", body=f'"{bad}"')
    report = sync(full=True)
    there = set(TrainingRun.objects.values_list("mlflow_run_id", flat=True))
    assert {runs[good], runs[late]} <= there
    assert not {runs[bad], kept} & there
    (problem,) = report.problems
    assert problem.startswith(f"Runs of experiment {bad}: ")
    state = SyncState.objects.get()
    assert problem in state.error
    assert state.succeeded_at
    assert state.cursor["covered_since"] is None
    line.heal()
    get_connector().transport._timeout = httpx.Timeout(30.0)
    again = sync()
    assert (again.mode, again.problems) == ("incremental", [])
    assert TrainingRun.objects.filter(mlflow_run_id__in=[runs[bad], kept]).count() == 2
    assert SyncState.objects.get().error == ""


@pytest.mark.once
def test_half_an_answer_about_the_registry_deletes_nothing(world: World, line: FaultProxy) -> None:
    run = world.run(world.experiment("theirs"))
    world.version("churn", run)
    assert sync().versions.created == 1
    line.fault("error", "model-versions/search")
    report = sync()
    assert [each.split(":")[0] for each in report.problems] == ["Registry"]
    assert (report.versions.deleted, report.models.deleted) == (0, 0)
    line.heal()
    assert sync().versions.unchanged == 1


@pytest.mark.once
def test_windows_that_could_not_be_read_are_read_next_time(world: World, line: FaultProxy) -> None:
    experiment = world.experiment("theirs")
    sync()
    before = SyncState.objects.get().cursor["since"]
    run = world.run(experiment)
    line.fault("busy", "runs/search", times=QUICK.retries + 1)
    assert [each.split(":")[0] for each in sync().problems] == ["Runs by start_time"]
    assert SyncState.objects.get().cursor["since"] == before
    line.heal()
    assert sync().problems == []
    assert TrainingRun.objects.filter(mlflow_run_id=run).exists()


class Killed(BaseException):
    """The process that synced is no more."""


def test_a_full_sync_goes_on_where_it_was(
    world: World, line: FaultProxy, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    monkeypatch.setattr(session, "NOTE_EVERY", 0.0)
    monkeypatch.setattr(rest, "FIRST_PAGE", 5)
    monkeypatch.setattr(rest, "LARGEST_PAGE", 5)
    settings.E2I_SYNC_READERS = 1
    experiment = world.experiment("large")
    for number in range(20):
        world.run(experiment, start=1_700_000_000 + number)
    total = sync(full=True).runs.seen
    TrainingRun.objects.filter(mlflow_experiment__mlflow_id=experiment).delete()

    def kill(phase: str, done: int, of: int) -> None:
        if TrainingRun.objects.filter(mlflow_experiment__mlflow_id=experiment).count() >= 10:
            raise Killed

    with pytest.raises(Killed):
        sync(full=True, progress=kill)
    state = SyncState.objects.get()
    stored = cursor.Cursor.of(state.cursor, get_connector().transport.safe_url)
    assert stored.full is not None
    assert stored.full.done or stored.full.at
    rest_of_it = sync()
    assert rest_of_it.mode == "full"
    assert rest_of_it.runs.seen < total
    rows = TrainingRun.objects.filter(mlflow_experiment__mlflow_id=experiment)
    assert rows.filter(deleted_in_mlflow=False).count() == 20
    assert sync().mode == "incremental"


def test_nothing_changed_writes_no_row(world: World, line: FaultProxy) -> None:
    run = world.run(world.experiment("theirs"))
    world.version("churn", run)
    world.end(run)
    sync()
    sync()
    with CaptureQueriesContext(connection) as queries:
        sync()
    writes = [
        each["sql"]
        for each in queries
        if each["sql"].startswith(("INSERT", "UPDATE", "DELETE", "REPLACE", "COPY"))
    ]
    assert [each for each in writes if "ml_sync_state" not in each] == []


def test_the_sweep_goes_through_everything_in_slices(
    world: World, line: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = world.experiment("theirs")
    runs = [world.run(experiment, start=1_700_000_000 + number) for number in range(12)]
    for run in runs:
        world.end(run, end=1_700_001_000)
    sync(full=True)
    covered = SyncState.objects.get().cursor["covered_since"]
    world.connector.set_run_tag(runs[7], "note", "late")
    assert sync().swept == 0, "a round has only begun"
    monkeypatch.setattr(tick, "SWEEP_RUNS", 3)
    monkeypatch.setattr(tick, "SWEEP_EVERY", tick.timedelta(0))
    monkeypatch.setattr(tick, "SWEEP_SHARE", 0)
    report = sync()
    assert TrainingRun.objects.get(mlflow_run_id=runs[7]).tags["note"] == "late"
    assert report.runs.updated == 1
    assert SyncState.objects.get().cursor["covered_since"] > covered
