"""Lists: pages, filters, order, CSV, and how few queries they take."""

from __future__ import annotations

import csv
import io
from types import SimpleNamespace
from typing import Any

import pytest

from tests.api.conftest import COLLECTIONS, Caller, address
from tests.factories.jobs import JobFactory
from tests.factories.registry import EntryFactory, ModelFactory
from tests.factories.training import ExperimentFactory, TrainingRunFactory
from tests.factories.world import a_row_in_each
from training.choices import RunRole

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("collection", COLLECTIONS)
def test_a_list_takes_six_queries_at_most_however_many_rows(
    collection: str,
    people: SimpleNamespace,
    as_person: Caller,
    as_service: Caller,
    django_assert_max_num_queries: Any,
) -> None:
    for number in range(3):
        a_row_in_each(number)
    for client in (as_person(people.viewer), as_service(people.viewer)):
        with django_assert_max_num_queries(6):
            found = client.get(f"/api/v1/{collection}/").json()
        assert found["count"] >= 3
        assert len(found["results"]) == found["count"]


def test_pages_follow_each_other(people: SimpleNamespace, as_person: Caller) -> None:
    for _ in range(5):
        ExperimentFactory()
    client, seen, url = as_person(people.viewer), [], "/api/v1/experiments/?page_size=2"
    while url:
        page = client.get(url).json()
        seen += [row["experiment_id"] for row in page["results"]]
        url = page["next"]
    assert len(seen) == len(set(seen)) == 5
    assert seen == sorted(seen)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("experiments/?problem_type=binary", 1),
        ("experiments/?problem_type=regression", 0),
        ("training-runs/?metric=test_roc_auc>=0.7", 3),
        ("training-runs/?metric=test_roc_auc>=0.9", 0),
        ("training-runs/?started_after=2001-01-01T00:00:00Z&mlflow_available=true", 3),
        ("training-runs/?started_before=2001-01-01T00:00:00Z", 0),
        ("versions/?stage=development", 1),
        ("versions/?stage=archived", 0),
        ("promotions/?open=true&to_stage=staging", 1),
        ("promotions/?open=false", 0),
        ("deployments/?live=true&strategy=shadow", 1),
        ("findings/?status=open&check=4.1", 1),
        ("findings/?status=resolved", 0),
        ("trail/?event=jobs.job.cancelled&source=command", 1),
        ("trail/?until=2001-01-01", 0),
        ("jobs/?state=queued&subject=visits", 1),
    ],
)
def test_filters_are_those_of_the_pages(
    query: str, found: int, world: dict[str, Any], people: SimpleNamespace, as_person: Caller
) -> None:
    assert as_person(people.viewer).get(f"/api/v1/{query}").json()["count"] == found


def test_a_version_is_found_by_the_run_that_made_it(
    world: dict[str, Any], people: SimpleNamespace, as_person: Caller
) -> None:
    run_id = world["training-runs"].mlflow_run_id
    rows = as_person(people.viewer).get(f"/api/v1/versions/?mlflow_run_id={run_id}").json()
    assert [row["id"] for row in rows["results"]] == [world["versions"].pk]


def test_a_script_sees_jobs_that_the_page_hides(people: SimpleNamespace, as_person: Caller) -> None:
    job = JobFactory(key="every:jobs.prune", state="succeeded")
    client = as_person(people.viewer)
    assert client.get("/api/v1/jobs/").json()["count"] == 1
    assert client.get(address("jobs", job)).status_code == 200


def test_nested_runs_have_an_address_but_are_not_listed(
    people: SimpleNamespace, as_person: Caller
) -> None:
    trial = TrainingRunFactory(role=RunRole.TRIAL)
    client = as_person(people.viewer)
    assert client.get("/api/v1/training-runs/").json()["count"] == 0
    assert client.get(address("training-runs", trial)).json()["role"] == "trial"


def test_order(people: SimpleNamespace, as_person: Caller) -> None:
    model = ModelFactory()
    for auc in (0.7, 0.9, 0.8):
        EntryFactory(model=model, auc=auc)
    client = as_person(people.viewer)
    for order, expected in (("auc", [0.7, 0.8, 0.9]), ("-auc", [0.9, 0.8, 0.7])):
        rows = client.get(f"/api/v1/versions/?ordering={order}").json()["results"]
        assert [row["auc"] for row in rows] == expected


@pytest.mark.parametrize(
    ("query", "field", "words"),
    [
        ("jobs/?stat=queued", "stat", "There is no filter 'stat'"),
        ("jobs/?state=sleeping", "state", "sleeping"),
        ("training-runs/?mlflow_available=perhaps", "mlflow_available", "true or false"),
        ("training-runs/?metric=good", "metric", "is no condition"),
        (
            "training-runs/?started_after=9999-12-31T23:59:59-14:00",
            "started_after",
            "There is no such time",
        ),
        ("versions/?version=first", "version", "number"),
        ("versions/?ordering=colour", "ordering", "One cannot order by 'colour'; one can by"),
        ("jobs/?page_size=0", "page_size", "from 1 to 500"),
        ("jobs/?page_size=501", "page_size", "from 1 to 500"),
        ("jobs/?format=xml", "format", "there is json and csv"),
    ],
)
def test_what_is_not_understood_is_refused(
    query: str, field: str, words: str, people: SimpleNamespace, as_person: Caller
) -> None:
    response = as_person(people.viewer).get(f"/api/v1/{query}")
    assert response.status_code == 400
    (error,) = response.json()["errors"]
    assert error["field"] == field
    assert words in error["detail"]


@pytest.mark.parametrize("collection", COLLECTIONS)
def test_csv_has_the_columns_and_rows_of_the_list(
    collection: str, world: dict[str, Any], people: SimpleNamespace, as_person: Caller
) -> None:
    client = as_person(people.viewer)
    listed = client.get(f"/api/v1/{collection}/").json()["results"]
    response = client.get(f"/api/v1/{collection}/?format=csv")
    assert response["Content-Type"] == "text/csv; charset=utf-8"
    assert f"{collection}.csv" in response["Content-Disposition"]
    rows = _read(response)
    assert [list(row) for row in rows] == [list(row) for row in listed]
    assert len(rows) == len(listed)


def test_csv_holds_the_whole_filter_and_no_formula(
    people: SimpleNamespace, as_person: Caller
) -> None:
    for number in range(60):
        ExperimentFactory(name=f"=cmd|'/c calc'!{number}")
    client = as_person(people.viewer)
    rows = _read(client.get("/api/v1/experiments/?format=csv&page_size=10"))
    assert len(rows) == 60
    assert all(row["name"].startswith("'=cmd") for row in rows)
    assert rows[0]["success_criteria"].startswith('{"minimum_auc"')
    assert _read(client.get("/api/v1/experiments/?format=csv&text=nothing")) == []
    by_header = client.get("/api/v1/experiments/", headers={"Accept": "text/csv"})
    assert len(_read(by_header)) == 60


def _read(response: Any) -> list[dict[str, str]]:
    text = b"".join(response.streaming_content).decode()
    return list(csv.DictReader(io.StringIO(text, newline="")))
