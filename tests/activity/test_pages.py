"""The activity's pages: filters, links, CSV, few queries."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest
from django.core.cache import cache

from e2i_site.activity.changes import ALIASES, METRICS, TAGS, Noticing, Subject
from e2i_site.activity.choices import EventKind, EventSource
from e2i_site.activity.models import MlflowEvent
from tests.factories.registry import ModelFactory
from tests.factories.training import TrainingRunFactory

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _forget() -> None:
    cache.clear()


@pytest.fixture
def run() -> Any:
    return TrainingRunFactory(mlflow_run_id="a1b2", run_name="nightly")


@pytest.fixture
def changes(run: Any) -> list[MlflowEvent]:
    ModelFactory(name="churn")
    by_hook = Noticing(EventSource.WEBHOOK, user="anna")
    made = [
        *Noticing().entries(
            Subject.model("churn"), ALIASES, {"production": "1"}, {"production": "2"}
        ),
        *by_hook.entries(Subject.version("churn", 2), TAGS, {}, {"=cmd": "x"}),
        *Noticing().entries(Subject.run("a1b2", "nightly"), METRICS, {}, {"auc": 0.9}),
    ]
    return MlflowEvent.objects.bulk_create(made)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", 3),
        ("q=churn", 2),
        ("q=no-such-word", 0),
        ("kind=alias_moved", 1),
        ("subject=run", 1),
        ("user=Anna", 1),
        ("source=webhook", 1),
        ("model=churn", 2),
        ("run=a1b2", 1),
        ("since=2000-01-01&until=2001-01-01", 0),
        ("since=yesterday", 0),
    ],
)
def test_filters_are_in_the_url(
    query: str,
    found: int,
    client: Any,
    people: Any,
    changes: list[MlflowEvent],
    django_assert_max_num_queries: Any,
) -> None:
    client.force_login(people.viewer)
    with django_assert_max_num_queries(10):
        page = client.get(f"/activity/?{query}")
    assert len(page.context["rows"]) == found
    exported = client.get(f"/activity/export/?{query}")
    if "yesterday" in query:
        assert exported.status_code == 400
        return
    text = b"".join(exported.streaming_content).decode()
    assert len(list(csv.DictReader(io.StringIO(text)))) == found
    assert ",=cmd" not in text


def test_values_of_several_parts_are_written_for_people(client: Any, people: Any) -> None:
    made = Noticing().event(
        EventKind.CREATED,
        Subject.version("churn", 3),
        after={"run_id": "a1b2", "source": "s3://there"},
    )
    made.save()
    client.force_login(people.viewer)
    for url in ("/activity/", "/activity/recent/?model=churn", "/activity/export/"):
        text = b"".join(client.get(url)).decode()
        assert "run_id: a1b2, source: s3://there" in text, url


def test_rows_lead_to_their_subjects_and_show_both_values(
    client: Any, people: Any, changes: list[MlflowEvent], run: Any
) -> None:
    client.force_login(people.viewer)
    html = client.get("/activity/").content.decode()
    assert 'href="/registry/models/churn/"' in html
    assert 'href="/registry/models/churn/versions/2/"' in html
    assert f'href="{run.get_absolute_url()}"' in html
    assert "<del>1</del>" in html
    assert "<ins>2</ins>" in html
    assert "MLflow does not tell" in html


def test_model_and_run_pages_show_their_own(
    client: Any, people: Any, changes: list[MlflowEvent], run: Any
) -> None:
    client.force_login(people.viewer)
    html = client.get("/registry/models/churn/").content.decode()
    assert 'href="/activity/?model=churn"' in html
    assert 'hx-get="/activity/recent/?model=churn"' in html
    card = client.get("/activity/recent/?model=churn").content.decode()
    assert "Alias moved" in card
    assert "Metric added" not in card
    html = client.get(run.get_absolute_url()).content.decode()
    assert "Metric added after the end" in html
    assert "/activity/?run=a1b2" in html


def test_nothing_yet_and_outsiders(client: Any, people: Any) -> None:
    client.force_login(people.viewer)
    assert "Nothing was changed past E2I yet" in client.get("/activity/").content.decode()
    client.force_login(people.outsider)
    assert client.get("/activity/").status_code == 403
