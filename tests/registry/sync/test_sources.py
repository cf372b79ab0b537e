"""Both sources give the same of the same store, whatever is in it."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from e2i_site.mlflow_connector import get_connector
from e2i_site.mlflow_connector.sources import (
    Failure,
    Page,
    RestSource,
    RunRecord,
    Slice,
    Source,
    StoreUnusable,
    open_store,
    rest,
    sql,
)
from registry.sync import sync
from tests.faults import FaultProxy
from tests.registry.sync.world import World, only_unchanged
from training.models import LoggedModel, RunMetric, TrainingRun


def odd_runs(world: World) -> str:
    """An experiment with what is seldom but happens; returns its id."""
    experiment = world.experiment("Größe ☃ ")
    parent = world.run(experiment, run_name="", user_id="ann")
    world.log(
        parent,
        params={"long": "x" * 6000, "unicode": "é☃\t\n\\ \"'", "empty": ""},
        metrics={"nan": "NaN", "up": "Infinity", "down": "-Infinity", "third": 1 / 3, "one": 1},
    )
    world.end(parent, "KILLED")
    many = world.run(experiment, tags={"mlflow.parentRunId": parent})
    for first in range(0, 3000, 1000):
        world.log(many, metrics={f"metric_{first + i}": i / 7 for i in range(1000)})
    same = int(time.time()) - 500
    for number in range(7):
        world.run(experiment, start=same, run_name=f"twin {number}")
    world.run(experiment, start=1.7e15)
    world.run(experiment, start=0.0)
    world.post("runs/delete", run_id=world.run(experiment))
    trained = world.run(experiment, tags={"mlflow.source.name": "train.py"})
    world.dataset(trained, "customers", "train")
    world.dataset(trained, "orders", "eval")
    world.model(experiment, trained, "forest", {"depth": "3"}, {"team": "a"})
    return experiment


def read(source: Source, some: Slice) -> list[RunRecord]:
    found = []
    for page in source.runs([some]):
        assert isinstance(page, Page)
        found += page.records
    source.close()
    return sorted(found, key=lambda record: record.run.run_id)


def without_schema(record: RunRecord) -> RunRecord:
    """SQL does not read the schema and the profile of data sets, which nothing here keeps."""
    import dataclasses

    datasets = tuple(
        dataclasses.replace(each, schema="", profile="") for each in record.run.datasets
    )
    return dataclasses.replace(record, run=dataclasses.replace(record.run, datasets=datasets))


@pytest.mark.parametrize("page_size", [3, 5000])
def test_the_sources_agree(
    world: World, store_uri: str, monkeypatch: pytest.MonkeyPatch, page_size: int
) -> None:
    monkeypatch.setattr(rest, "FIRST_PAGE", page_size)
    monkeypatch.setattr(rest, "LARGEST_PAGE", page_size)
    monkeypatch.setattr(sql, "CHUNK", page_size)
    experiment = odd_runs(world)
    listed = list(world.connector.iter_experiments())
    ours = read(open_store(store_uri, listed), Slice((experiment,)))
    theirs = read(RestSource(world.connector), Slice((experiment,)))
    assert len(ours) == 13
    plain = [{**vars_of(each), "metrics": each.metrics} for each in map(without_schema, theirs)]
    assert [{**vars_of(each), "metrics": each.metrics} for each in ours] == plain
    store = open_store(store_uri, listed)
    models = list(store.logged_models([experiment]))
    assert models == list(world.connector.find_logged_models([experiment]))
    assert [each.params for each in models] == [{"depth": "3"}]
    store.close()


def vars_of(record: RunRecord) -> dict[str, Any]:
    """Everything but metrics, in which NaN is unequal to itself."""
    run = {name: value for name, value in vars(record.run).items() if name != "metrics"}
    return {"run": run, "digest": record.digest, "json": record.metrics_json}


def test_a_page_names_every_run_of_its_range(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of a start time that more runs share than fit into a page, too."""
    monkeypatch.setattr(rest, "FIRST_PAGE", 3)
    monkeypatch.setattr(rest, "LARGEST_PAGE", 3)
    experiment = world.experiment("together")
    began = {}
    for number in range(10):
        start = 1_700_000_000 + number // 4
        began[world.run(experiment, start=start)] = 1000 * start
    source = RestSource(world.connector, readers=1)
    pages = list(source.runs([Slice((experiment,))]))
    assert len(pages) > 3
    for page in pages:
        assert isinstance(page, Page)
        low, high = page.low or 0, page.high or float("inf")
        assert {run for run, at in began.items() if low <= at < high} <= page.ids
    assert {each.run.run_id for page in pages for each in page.records} == set(began)


@pytest.mark.once
@pytest.mark.parametrize(
    "odd",
    [r"(?<=\"start_time\": )1700000006000", r"(?<=\"value\": )0.125"],
    ids=["start", "metric"],
)
def test_an_answer_that_makes_no_sense_ends_its_slice_there(
    world: World, line: FaultProxy, monkeypatch: pytest.MonkeyPatch, odd: str
) -> None:
    """Also when it is noticed only after the next page was asked for."""
    monkeypatch.setattr(rest, "FIRST_PAGE", 5)
    monkeypatch.setattr(rest, "LARGEST_PAGE", 5)
    bad, good = world.experiment("bad"), world.experiment("good")
    runs = [world.run(bad, start=1_700_000_000 + number) for number in range(20)]
    world.log(runs[6], metrics={"rmse": 0.125})
    other = world.run(good)
    line.fault("odd", "runs/search", body=f'"{bad}"', item=odd)
    source = RestSource(get_connector(), readers=1)
    pages = list(source.runs([Slice((bad,)), Slice((good,))]))
    read = [each for page in pages if isinstance(page, Page) for each in page.records]
    assert sorted(each.run.run_id for each in read) == sorted([*runs[:5], other])
    (failure,) = [each for each in pages if isinstance(each, Failure)]
    assert (failure.slice.experiment_ids, failure.since) == ((bad,), 1_700_000_004_000)
    assert f"the runs of experiment {bad} cannot be understood" in str(failure.error)


def test_pages_are_as_large_as_what_was_seen_allows(
    world: World, line: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rest, "FIRST_PAGE", 2)
    light, other = world.experiment("light"), world.experiment("other")
    for number, experiment in enumerate((light, other)):
        for more in range(6):
            world.run(experiment, start=1_700_000_000 + 10 * number + more)

    def searches(*experiments: str) -> int:
        before = len(line.requests)
        source = RestSource(get_connector(), readers=1)
        assert len(list(source.runs([Slice((each,)) for each in experiments]))) > 0
        return sum("runs/search" in each for each in line.requests[before:])

    assert searches(light) == 2, "two runs, then all others"
    assert searches(light, other) == 3, "what was light of one lets another begin with more"
    monkeypatch.setattr(rest, "PAGE_BYTES", 3 * rest._weight({"data": {}}))
    assert searches(light) > 2
    assert searches(light, other) == 2 * searches(light)


def test_what_is_odd_is_mirrored_from_both(world: World, store_uri: str, settings: Any) -> None:
    experiment = odd_runs(world)
    settings.MLFLOW_BACKEND_STORE_URI = store_uri
    first = sync(full=True)
    assert (first.source, first.notes, first.problems) == ("sql", [], [])
    rows = TrainingRun.objects.filter(mlflow_experiment__mlflow_id=experiment)
    assert rows.count() == 13
    run = rows.get(user_name="ann")
    assert run.params["unicode"] == "é☃\t\n\\ \"'"
    assert run.params["long"] == "x" * 6000
    assert run.metrics["nan"] == "NaN"
    assert run.metrics["third"] == 1 / 3
    assert dict(run.metric_rows.values_list("key", "value")) == {
        "up": float("inf"), "down": float("-inf"), "third": 1 / 3, "one": 1.0,
    }  # fmt: skip
    many = rows.get(parent=run)
    assert RunMetric.objects.filter(run=many).count() == 3000
    assert rows.filter(deleted_in_mlflow=True).count() == 1
    trained = rows.exclude(datasets=[]).get()
    assert [(each["name"], each["context"]) for each in trained.datasets] == [
        ("customers", "train"),
        ("orders", "eval"),
    ]
    model = LoggedModel.objects.get(source_run_id=trained.mlflow_run_id)
    assert (model.name, model.params, model.tags["team"]) == ("forest", {"depth": "3"}, "a")
    assert trained.model_outputs == [model.model_id]
    assert only_unchanged(sync(full=True))
    settings.MLFLOW_BACKEND_STORE_URI = ""
    again = sync(full=True)
    assert again.source == "rest"
    assert only_unchanged(again)


def test_a_store_that_cannot_be_trusted_is_not_read(
    world: World, own_folder: Path, tmp_path: Path, settings: Any
) -> None:
    world.run(world.experiment("theirs"))
    listed = list(world.connector.iter_experiments())
    copy = tmp_path / "copy.sqlite3"
    with (
        closing(sqlite3.connect(own_folder / "mlflow.sqlite3")) as source,
        closing(sqlite3.connect(copy)) as target,
    ):
        source.backup(target)
        target.execute("UPDATE experiments SET creation_time = 1 WHERE experiment_id = 0")
        target.commit()
    with pytest.raises(StoreUnusable, match="not the store of the server"):
        open_store(f"sqlite:///{copy}", listed)
    with closing(sqlite3.connect(copy)) as target:
        target.execute("UPDATE alembic_version SET version_num = 'fffffff'")
        target.commit()
    with pytest.raises(StoreUnusable, match="schema version fffffff is not one that E2I knows"):
        open_store(f"sqlite:///{copy}", listed)
    missing = tmp_path / "missing.sqlite3"
    with pytest.raises(StoreUnusable, match="cannot be read"):
        open_store(f"sqlite:///{missing}", listed)
    assert not missing.exists()
    with pytest.raises(StoreUnusable, match="neither PostgreSQL nor SQLite"):
        open_store("mysql://somewhere/mlflow", listed)
    settings.MLFLOW_BACKEND_STORE_URI = f"sqlite:///{copy}"
    report = sync(full=True)
    assert report.source == "rest"
    assert "schema version fffffff" in report.notes[0]
    assert report.runs.created >= 1
