"""Lists by cursor: every row once, in order, whatever comes and goes meanwhile."""

from __future__ import annotations

import base64
import json
import random
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from e2i_site.core import cursor
from tests.api.conftest import Caller
from tests.factories.registry import EntryFactory, ModelFactory
from tests.factories.training import TrainingRunFactory
from training.models import TrainingRun

pytestmark = pytest.mark.django_db
START = datetime(2026, 1, 1, tzinfo=UTC)
ORDERS = [
    ("training-runs", ""),
    ("training-runs", "started_at"),
    ("training-runs", "-duration_seconds"),
    ("training-runs", "duration_seconds,-started_at"),
    ("versions", ""),
    ("versions", "auc"),
    ("versions", "-auc,model"),
    ("models", ""),
    ("models", "-created_at"),
]


@pytest.fixture
def rows(db: None) -> None:
    """Few different values and holes, so that ties and nulls lie across the pages."""
    chance = random.Random(5)
    for number in range(9):
        TrainingRunFactory(
            started_at=chance.choice((None, START, START + timedelta(hours=1))),
            duration_seconds=chance.choice((None, 1.5, 0.1 + 0.2)),
            run_name=f"run {number}",
        )
    models = [ModelFactory(name=name) for name in ("a", "B", "č", "d e")]
    for _ in range(9):
        EntryFactory(model=chance.choice(models), auc=chance.choice((None, 0.7, 0.9)))


def walk(client: Any, url: str) -> list[list[Any]]:
    """The ids on each page."""
    pages = []
    while url:
        found = client.get(url).json()
        assert set(found) == {"next", "results"}
        pages.append([row.get("id") or row["name"] for row in found["results"]])
        url = found["next"]
    return pages


@pytest.mark.parametrize(("collection", "order"), ORDERS)
def test_pages_by_cursor_are_the_list_in_order(
    collection: str,
    order: str,
    rows: None,
    people: SimpleNamespace,
    as_person: Caller,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cursor, "WALK", 4)  # enough for some pages, not for all
    TrainingRun.objects.filter(run_name__in=["run 3", "run 4"]).update(role="trial")
    client = as_person(people.viewer)
    ordering = f"&ordering={order}" if order else ""
    (whole,) = walk(client, f"/api/v1/{collection}/?cursor=&page_size=500{ordering}")
    pages = walk(client, f"/api/v1/{collection}/?cursor=&page_size=2{ordering}")
    assert [each for page in pages for each in page] == whole
    assert {len(page) for page in pages[:-1]} == {2}
    numbered = client.get(f"/api/v1/{collection}/?page_size=500{ordering}").json()
    assert numbered["count"] == len(whole) == len(set(whole))
    if not order:
        assert [row.get("id") or row["name"] for row in numbered["results"]] == whole
    if order == "auc":
        found = client.get(f"/api/v1/{collection}/?cursor={ordering}").json()["results"]
        values = [row["auc"] for row in found]
        assert values == sorted(values, key=lambda auc: (auc is None, auc))


def test_rows_that_come_and_go_move_no_other(
    rows: None, people: SimpleNamespace, as_person: Caller, django_assert_max_num_queries: Any
) -> None:
    client = as_person(people.viewer)
    first = client.get("/api/v1/training-runs/?cursor=&page_size=3").json()
    before = list(TrainingRun.objects.order_by("-id").values_list("pk", flat=True))
    TrainingRunFactory()
    TrainingRun.objects.filter(pk=before[1]).update(deleted_in_mlflow=True)
    with django_assert_max_num_queries(4):
        second = client.get(first["next"]).json()
    assert [row["id"] for row in second["results"]] == before[3:6]


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("training-runs/?cursor=x", "none that this API gave"),
        ("training-runs/?cursor=W10", "none that this API gave"),
        ("training-runs/?cursor=&page=2", "not both"),
        ("training-runs/?cursor=" + "x" * 2001, "too long"),
        ("jobs/?cursor=", "no filter"),
    ],
)
def test_what_is_no_cursor_is_refused(
    query: str, said: str, people: SimpleNamespace, as_person: Caller
) -> None:
    answer = as_person(people.viewer).get(f"/api/v1/{query}")
    assert answer.status_code == 400
    assert said in str(answer.json()["errors"])


@pytest.mark.parametrize(
    ("collection", "order", "values"),
    [
        ("models", "name", ["a\x00"]),
        ("models", "name", ["a\ud800"]),
        ("training-runs", "started_at,id", ["9999-12-31T23:59:59-14:00", 1]),
        ("training-runs", "started_at,id", [[], 1]),
    ],
)
def test_what_no_database_takes_is_no_cursor(
    collection: str, order: str, values: list[Any], people: SimpleNamespace, as_person: Caller
) -> None:
    made = base64.urlsafe_b64encode(json.dumps([order, values]).encode()).decode().rstrip("=")
    ordering = order.partition(",")[0]
    answer = as_person(people.viewer).get(
        f"/api/v1/{collection}/?cursor={made}&ordering={ordering}"
    )
    assert answer.status_code == 400
    assert "none that this API gave" in str(answer.json()["errors"])


def test_a_cursor_of_another_order_is_refused(
    rows: None, people: SimpleNamespace, as_person: Caller
) -> None:
    client = as_person(people.viewer)
    url = client.get("/api/v1/training-runs/?cursor=&page_size=2").json()["next"]
    answer = client.get(f"{url}&ordering=started_at")
    assert "another ordering" in str(answer.json()["errors"])


def test_the_schema_tells_of_it(people: SimpleNamespace, as_person: Caller) -> None:
    client = as_person(people.viewer)
    schema = client.get("/api/schema/?format=json").json()
    for collection in ("training-runs", "versions", "models"):
        operation = schema["paths"][f"/api/v1/{collection}/"]["get"]
        assert "cursor" in {each["name"] for each in operation["parameters"]}
