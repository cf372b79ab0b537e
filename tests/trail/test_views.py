"""The trail's pages: filters, permalinks, the state of the chain, exports."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest
from django.core.cache import cache
from django.db import connection, transaction

from e2i_site.core.roles import Role
from e2i_site.trail.models import TrailEntry
from e2i_site.trail.record import record

pytestmark = pytest.mark.django_db
EVENT = "accounts.user.roles_granted"


@pytest.fixture(autouse=True)
def _forget() -> None:
    cache.clear()


@pytest.fixture
def entries(people: Any) -> list[TrailEntry]:
    with transaction.atomic():
        return [
            record(
                EVENT,
                actor=people.approver,
                subject=people.viewer,
                old={"stage": "shadow", "same": 1},
                new={"stage": "production", "same": 1, "gates": {"quality": "pass"}},
                reason="=HYPERLINK(1)",
                scope="model:churn",
            ),
            record(EVENT, actor=None, subject=people.auditor, scope="model:other"),
        ]


def test_every_role_reads_it_in_few_queries(
    client: Any, people: Any, entries: list[TrailEntry], django_assert_max_num_queries: Any
) -> None:
    for role in Role.values:
        client.force_login(getattr(people, role))
        for path in ("/trail/", f"/trail/{entries[0].pk}/", "/trail/verification/"):
            with django_assert_max_num_queries(10):
                assert client.get(path).status_code == 200


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", 2),
        ("q=HYPERLINK", 1),
        ("q=no-such-word", 0),
        ("actor=approver", 1),
        ("actor=E2I", 1),
        ("scope=model:churn", 1),
        (f"event={EVENT}", 2),
        ("since=2000-01-01&until=2001-01-01", 0),
        ("source=web", 0),
    ],
)
def test_filters_are_in_the_url(
    query: str, found: int, client: Any, people: Any, entries: list[TrailEntry]
) -> None:
    client.force_login(people.viewer)
    keys = {entry.pk for entry in entries}
    shown = {entry.pk for entry in client.get(f"/trail/?{query}").context["page"]}
    assert len(shown & keys) == found
    exported = client.get(f"/trail/export/?{query}")
    text = b"".join(exported.streaming_content).decode()
    assert len({int(row["id"]) for row in csv.DictReader(io.StringIO(text))} & keys) == found


def test_a_filter_that_is_not_understood_shows_nothing_and_says_so(
    client: Any, people: Any, entries: list[TrailEntry]
) -> None:
    client.force_login(people.viewer)
    response = client.get("/trail/?since=yesterday")
    assert response.status_code == 200
    assert "Enter a valid date." in response.content.decode()
    assert not response.context["page"].rows
    assert client.get("/trail/export/?since=yesterday").status_code == 400


def test_the_export_disarms_formulas(client: Any, people: Any, entries: list[TrailEntry]) -> None:
    client.force_login(people.viewer)
    text = b"".join(client.get("/trail/export/").streaming_content).decode()
    assert "'=HYPERLINK(1)" in text


def test_an_entry_shows_old_and_new_and_fits_the_chain(
    client: Any, people: Any, entries: list[TrailEntry]
) -> None:
    client.force_login(people.viewer)
    html = client.get(f"/trail/{entries[0].pk}/").content.decode()
    assert "<del>shadow</del>" in html
    assert "<ins>production</ins>" in html
    assert "<del>1</del>" not in html
    assert "The entry fits the chain." in html
    assert f'href="/trail/{entries[1].pk}/"' in html


def test_the_last_entry_has_no_next(client: Any, people: Any, entries: list[TrailEntry]) -> None:
    client.force_login(people.viewer)
    html = client.get(f"/trail/{entries[1].pk}/").content.decode()
    assert 'rel="next"' not in html
    assert client.get(f"/trail/{entries[1].pk + 1}/").status_code == 404


@pytest.mark.skipif(connection.vendor != "sqlite", reason="drops SQLite's trigger")
def test_a_changed_entry_is_seen_where_it_is_shown(
    client: Any, people: Any, entries: list[TrailEntry]
) -> None:
    first, second = entries
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'trail_entry'"
        )
        for (name,) in cursor.fetchall():
            cursor.execute(f'DROP TRIGGER "{name}"')
        cursor.execute("UPDATE trail_entry SET reason = 'forged' WHERE id = %s", [first.pk])
    client.force_login(people.viewer)
    assert "no longer fit their hash" in client.get("/trail/").content.decode()
    assert "was changed after it was written" in client.get(f"/trail/{first.pk}/").content.decode()
    assert "The entry fits the chain." in client.get(f"/trail/{second.pk}/").content.decode()
    assert f"Entry {first.pk} was changed." in client.get("/trail/verification/").content.decode()
    with connection.cursor() as cursor:
        cursor.execute("UPDATE trail_entry SET hash = 'x' WHERE id = %s", [first.pk])
    html = client.get(f"/trail/{second.pk}/").content.decode()
    assert "does not follow the one before it" in html


def test_the_whole_chain_is_verified_on_request(
    client: Any, people: Any, entries: list[TrailEntry]
) -> None:
    client.force_login(people.auditor)
    count = TrailEntry.objects.count()
    html = client.get("/trail/verification/").content.decode()
    assert f"All {count} entries fit the chain." in html
