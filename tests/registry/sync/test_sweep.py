"""The sweep misses nothing when groups fail, and a sync that stops midway forgets nothing."""

from __future__ import annotations

from datetime import timedelta

import pytest

from registry.models import SyncState
from registry.sync import sync, tick
from tests.faults import FaultProxy
from tests.registry.sync.world import World
from training.models import TrainingRun

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
    early = old_runs(world, world.experiment("early"), 9)
    old_runs(world, world.experiment("late"), 9, start=OLD + 100_000)
    sync(full=True)
    world.connector.set_run_tag(early[7], "note", "late")
    together = line.fault("busy", "runs/search", body=r'"experiment_ids":\["\d+","' + PAGE)
    assert sync().problems == []
    assert together.hits
    assert note(early[7]) == "late"


def test_an_experiment_that_cannot_be_read_holds_the_bound_back_and_no_other(
    world: World, line: FaultProxy, at_once: None
) -> None:
    good, bad = world.experiment("good"), world.experiment("bad")
    run = old_runs(world, good, 7)[6]
    old_runs(world, bad, 2)
    sync(full=True)
    before = SyncState.objects.get().cursor["covered_since"]
    world.connector.set_run_tag(run, "note", "late")
    line.fault("busy", "runs/search", body=f'"{bad}"{PAGE}')
    (problem,) = sync().problems
    assert problem.startswith(f"Runs of experiment {bad}: ")
    assert note(run) == "late"
    cursor = SyncState.objects.get().cursor
    assert (cursor["retry"], cursor["covered_since"]) == ([bad], before)
    line.heal()
    assert sync().problems == []
    cursor = SyncState.objects.get().cursor
    assert cursor["retry"] == []
    assert cursor["covered_since"] > before
