"""The sweep misses nothing when groups fail, and a sync that stops midway forgets nothing."""

from __future__ import annotations

from datetime import timedelta

import pytest

from e2i_site.jobs.models import BreakerRecord
from e2i_site.mlflow_connector import Unreachable, get_connector
from e2i_site.mlflow_connector.sources import Failure, RestSource, Slice
from registry.models import SyncState
from registry.sync import sync, tick
from tests.faults import Fault, FaultProxy
from tests.registry.sync.world import QUICK, World
from training.models import MlflowExperiment, TrainingRun

pytestmark = pytest.mark.once
OLD = 1_700_000_000
#: What only the sweep asks for: small pages.
PAGE = r'.*"max_results":\d{1,2},'


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A whole round in each sync, three runs at a time."""
    monkeypatch.setattr(tick, "SWEEP_RUNS", 3)
    monkeypatch.setattr(tick, "SWEEP_EVERY", timedelta(0))
    monkeypatch.setattr(tick, "SWEEP_SHARE", 0)


def show_only(line: FaultProxy, *experiments: str) -> Fault:
    """Leave out what other tests made."""
    item = f'"experiment_id": "(?!({"|".join(experiments)})")'
    return line.fault("omit", "experiments/search", item=item)


def old_runs(world: World, experiment: str, count: int, *, start: int = OLD) -> list[str]:
    """Runs that no search for new ones finds."""
    runs = [world.run(experiment, start=start + number) for number in range(count)]
    for run in runs:
        world.end(run, end=start + 1000)
    return runs


def note(run: str) -> str:
    return str(TrainingRun.objects.get(mlflow_run_id=run).tags.get("note", ""))


def test_a_group_that_is_read_apart_goes_on_where_the_slowest_experiment_is(
    world: World, line: FaultProxy, at_once: None
) -> None:
    first, second = world.experiment("early"), world.experiment("late")
    early = old_runs(world, first, 9)
    old_runs(world, second, 9, start=OLD + 100_000)
    show_only(line, first, second)
    sync(full=True)
    world.connector.set_run_tag(early[7], "note", "late")
    together = line.fault("error", "runs/search", body=r'"experiment_ids":\["\d+","' + PAGE)
    assert sync().problems == []
    assert together.hits
    assert note(early[7]) == "late"


def test_an_experiment_that_cannot_be_read_holds_the_bound_back_and_no_other(
    world: World, line: FaultProxy, at_once: None
) -> None:
    good, bad = world.experiment("good"), world.experiment("bad")
    run = old_runs(world, good, 7)[6]
    old_runs(world, bad, 2)
    show_only(line, good, bad)
    sync(full=True)
    before = SyncState.objects.get().cursor["covered_since"]
    world.connector.set_run_tag(run, "note", "late")
    error = line.fault("error", "runs/search", body=f'"{bad}"{PAGE}')
    (problem,) = sync().problems
    assert problem.startswith(f"Runs of experiment {bad}: ")
    assert note(run) == "late"
    cursor = SyncState.objects.get().cursor
    assert (cursor["retry"], cursor["covered_since"]) == ([bad], before)
    error.lifted.set()
    assert sync().problems == []
    cursor = SyncState.objects.get().cursor
    assert cursor["retry"] == []
    assert cursor["covered_since"] > before


@pytest.mark.parametrize("where", ["anywhere", "in the sweep"])
def test_a_sync_that_stops_midway_leaves_what_it_had_to_read_to_the_next(
    world: World, line: FaultProxy, where: str
) -> None:
    experiments = [world.experiment(name) for name in ("one", "two", "three")]
    runs = [run for each in experiments for run in old_runs(world, each, 1)]
    show_only(line, *experiments)
    sync(full=True)
    for each in experiments:
        world.post("experiments/delete", experiment_id=each)
    single = rf'"experiment_ids":\["({"|".join(experiments)})"\]'
    error = line.fault("error", "runs/search", body=single if where == "in the sweep" else "")
    down = line.fault("error", "health")
    with pytest.raises(Unreachable):
        sync()
    there = TrainingRun.objects.filter(mlflow_run_id__in=runs, deleted_in_mlflow=False)
    assert there.count() == 3
    error.lifted.set()
    down.lifted.set()
    BreakerRecord.objects.all().delete()
    sync()
    assert not there.exists()
    assert SyncState.objects.get().cursor["retry"] == []


def test_what_changed_is_read_again_though_the_rest_of_the_experiments_is_not_known(
    world: World, line: FaultProxy
) -> None:
    first, second = world.experiment("first"), world.experiment("second")
    (run,) = old_runs(world, first, 1)
    shown = show_only(line, first, second)
    sync(full=True)
    world.post("experiments/delete", experiment_id=first)
    shown.lifted.set()
    show_only(line, first)
    error = line.fault("error", "experiments/get")
    with pytest.raises(Unreachable):
        sync()
    error.lifted.set()
    BreakerRecord.objects.all().delete()
    sync()
    assert TrainingRun.objects.get(mlflow_run_id=run).deleted_in_mlflow


def test_a_full_sync_that_goes_on_reads_what_changed_meanwhile(
    world: World, line: FaultProxy
) -> None:
    experiment = world.experiment("theirs")
    (run,) = old_runs(world, experiment, 1)
    show_only(line, experiment)
    sync(full=True)
    state = SyncState.objects.get()
    done = list(MlflowExperiment.objects.values_list("mlflow_id", flat=True))
    state.cursor["full"] = {"begun": state.cursor["since"], "done": done, "at": []}
    state.save()
    world.post("experiments/delete", experiment_id=experiment)
    assert sync().mode == "full"
    assert sync().mode == "incremental"
    assert TrainingRun.objects.get(mlflow_run_id=run).deleted_in_mlflow


def test_a_sync_killed_between_two_writes_leaves_what_it_had_to_read_to_the_next(
    world: World, line: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = world.experiment("theirs")
    (run,) = old_runs(world, experiment, 1)
    show_only(line, experiment)
    sync(full=True)
    world.post("experiments/delete", experiment_id=experiment)
    with monkeypatch.context() as killed:
        # The last that is written before the kill; nothing after it is.
        killed.setattr(tick.Tick, "__init__", _kill)
        killed.setattr("registry.sync.finish", lambda *args, **kwargs: None)
        with pytest.raises(SystemExit):
            sync()
    assert MlflowExperiment.objects.get(mlflow_id=experiment).deleted
    SyncState.objects.update(lease_token=None)
    sync()
    assert TrainingRun.objects.get(mlflow_run_id=run).deleted_in_mlflow


def _kill(*_: object) -> None:
    raise SystemExit


def test_many_that_cannot_be_read_keep_no_other_from_it(world: World, line: FaultProxy) -> None:
    experiments = [world.experiment(f"group {number}") for number in range(12)]
    show_only(line, *experiments)
    runs = {each: old_runs(world, each, 1)[0] for each in experiments}
    bad = set(experiments[:3])
    error = line.fault("error", "runs/search", body=rf'"({"|".join(bad)})"')
    source = RestSource(get_connector(), readers=1)
    read, failed = set(), set()
    for outcome in source.runs([Slice(tuple(experiments), limit=2)]):
        if isinstance(outcome, Failure):
            failed.update(outcome.slice.experiment_ids)
        else:
            read |= outcome.ids
    assert failed == bad
    assert read == {run for each, run in runs.items() if each not in bad}
    # What is asked for together is asked for in parts, not one by one.
    assert error.hits < 30


def test_an_experiment_that_cannot_be_read_keeps_no_others_new_runs_away(
    world: World, line: FaultProxy
) -> None:
    good, bad = world.experiment("good"), world.experiment("bad")
    sync(full=True)
    line.fault("error", "runs/search", body=f'"{bad}"')
    late = world.run(bad)
    for _ in range(3):
        since = SyncState.objects.get().cursor["since"]
        new = world.run(good)
        (problem,) = sync().problems
        assert problem.startswith(f"Runs of experiment {bad}: ")
        assert TrainingRun.objects.filter(mlflow_run_id=new).exists()
        state = SyncState.objects.get()
        assert state.cursor["retry"] == [bad]
        assert state.cursor["since"] > since, "the next one need not look back as far"
    line.heal()
    assert sync().problems == []
    assert TrainingRun.objects.filter(mlflow_run_id=late).exists()
    assert SyncState.objects.get().cursor["retry"] == []


def test_a_server_that_is_busy_is_not_asked_for_everything_one_by_one(
    world: World, line: FaultProxy, at_once: None
) -> None:
    experiments = [world.experiment(name) for name in ("one", "two", "three")]
    show_only(line, *experiments)
    sync(full=True)
    runs = [world.run(each) for each in experiments]
    busy = line.fault("busy", "runs/search")
    problems = sync().problems
    parts = ["Runs by start_time", "Runs by end_time", "Deleted runs", "Sweep"]
    assert [each.split(":")[0] for each in problems] == parts
    # A connection that is lost takes the place of one attempt.
    assert len(parts) < busy.hits <= len(parts) * (QUICK.retries + 1)
    assert sync(full=True).problems
    busy.lifted.set()
    assert sync().problems == []
    assert TrainingRun.objects.filter(mlflow_run_id__in=runs).count() == 3
    assert SyncState.objects.get().cursor["retry"] == []
