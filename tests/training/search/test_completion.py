"""What the search line offers while somebody types."""

from __future__ import annotations

import importlib
import re
import time
from typing import Any

import pytest
from django.apps import apps
from django.db import connection
from django.test import Client

from e2i_site.mlflow_connector.sources import record_of
from e2i_site.mlflow_connector.types import Run
from registry.search.conditions import MODELS
from tests.factories.registry import ModelFactory
from tests.factories.training import TrainingRunFactory
from training.models import MlflowExperiment, RunMetric, SearchName
from training.search.completion import complete
from training.search.grammar import Kind, parse
from training.sync import Counts, RunMirror
from training.sync.names import remember

pytestmark = pytest.mark.django_db


@pytest.fixture
def named() -> None:
    remember(
        [("metric", "auc"), ("metric", "val auc"), ("metric", "test_auc"), ("param", "lr"),
         ("tag", "mlflow.runName"), ("tag", "team name")]
    )  # fmt: skip


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("stat", ["status"]),
        ("metric.AU", ["metric.auc", "metric.test_auc", "metric.`val auc`"]),
        ("user:anna param.", ["user:anna param.lr"]),
        ("tags.n", ["tags.`team name`", "tags.mlflow.runName"]),
        ("test", ["metric.test_auc"]),
        ("attribute.dura", ["attribute.duration"]),
        ("metric.auc>0", []),
        ("name:'a met", []),
        ("metric.nothing", []),
    ],
)
def test_names_complete_the_end_of_the_line(named: None, line: str, offered: list[str]) -> None:
    assert complete(line) == offered


def test_what_is_offered_can_be_read(named: None) -> None:
    for line in complete("metric."):
        (term,) = parse(f"{line}>1")
        assert term.kind == Kind.METRIC
    assert "stage" in complete("", MODELS)
    assert "stage" not in complete("")


def test_the_mirror_keeps_the_names(settings: Any) -> None:
    MlflowExperiment.objects.create(mlflow_id="7", name="Theirs")
    info = {"run_id": "a" * 32, "experiment_id": "7", "status": "RUNNING", "start_time": 1}
    mirror = RunMirror(Counts())
    for number in (1, 2):
        data = {
            "params": [{"key": "p", "value": "1"}],
            "metrics": [{"key": f"m{number}", "value": 1.0}],
            "tags": [{"key": "t", "value": "x"}],
        }
        mirror.mirror([record_of(Run.parse({"info": info, "data": data}))])
    wanted = [("metric", "m1"), ("metric", "m2"), ("param", "p"), ("tag", "t")]
    assert sorted(SearchName.objects.values_list("kind", "name")) == wanted


def test_names_of_runs_that_were_there_before_are_filled_in() -> None:
    run = TrainingRunFactory(params={"p": 1}, tags={"t": "x"})
    RunMetric.objects.create(run=run, key="m", value=1.0)
    migration = importlib.import_module("training.migrations.0004_search_names")
    migration.fill(apps, connection.schema_editor())
    assert {("metric", "m"), ("param", "p"), ("tag", "t")} <= set(
        SearchName.objects.values_list("kind", "name")
    )


def test_the_pages_offer_choices(named: None, client: Client, people: Any) -> None:
    client.force_login(people.viewer)
    ModelFactory(tags={"owner": "x", "own<er": "y"})
    answer = client.get("/training/runs/names/?q=metric.a").content.decode()
    assert 'data-name="metric.auc"' in answer
    answer = client.get("/registry/models/names/?q=tag.own").content.decode()
    assert re.findall('data-name="([^"]*)"', answer) == ["tag.`own&lt;er`", "tag.owner"]
    for page, names in (("/training/", "/training/runs/names/"),
                        ("/registry/", "/registry/models/names/")):  # fmt: skip
        text = client.get(page).content.decode()
        assert f'data-completes="{names}"' in text
        assert '<div id="search-names"' in text


def test_ten_thousand_names_are_quick() -> None:
    remember(("param", f"layer_{number}.units") for number in range(10_000))
    complete("param.99")
    begun = time.perf_counter()
    assert len(complete("param.99")) == 20
    took = time.perf_counter() - begun
    print(f"completed in {took * 1000:.1f} ms")
    assert took < 0.25, "goal 25 ms, on a busy machine ten times as much"
