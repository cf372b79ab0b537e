"""The trail is append-only, chained, and says when it was tampered with."""

from __future__ import annotations

import json

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import DatabaseError, connection, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from e2i_site.trail import context, events
from e2i_site.trail.models import TrailEntry, TrailHead
from e2i_site.trail.record import record, verify

EVENT = events.register("tests.thing.happened", "A thing happened")


def _add(user: User, **new: object) -> TrailEntry:
    return record(EVENT, actor=user, subject=user, new=new, reason="because")


@pytest.fixture
def user(db: None) -> User:
    return User.objects.create_user("noor")


def _tamper(sql: str) -> None:
    """Change the table as somebody with the database's own keys would: past the triggers."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("ALTER TABLE trail_entry DISABLE TRIGGER ALL")
        else:
            for name in ("trail_no_update", "trail_no_delete", "trail_no_replace"):
                cursor.execute(f"DROP TRIGGER IF EXISTS {name}")
        cursor.execute(sql)


def test_entries_form_a_chain(user: User) -> None:
    first, second = _add(user, a=1), _add(user, b=2.5)
    assert (first.id, second.id) == (1, 2)
    assert second.previous_hash == first.hash
    assert TrailHead.objects.get().hash == second.hash
    assert verify().ok
    stored = TrailEntry.objects.get(pk=2)
    assert stored.new == {"b": 2.5}
    assert stored.actor_name == "noor"


def test_an_unregistered_event_is_refused(user: User) -> None:
    with pytest.raises(ValueError, match="not registered"):
        record("tests.unknown", actor=user, subject=user)


@pytest.mark.django_db(transaction=True)
def test_an_entry_needs_a_transaction() -> None:
    user = User.objects.create_user("noor")
    with pytest.raises(RuntimeError, match="transaction"):
        _add(user)


def test_entries_of_one_act_share_a_request_id(user: User) -> None:
    with context.acting("job"):
        first, second = _add(user), _add(user)
    assert first.request_id == second.request_id != _add(user).request_id
    assert first.source == "job"


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE trail_entry SET reason = 'other' WHERE id = 1",
        "DELETE FROM trail_entry WHERE id = 1",
    ],
)
def test_the_database_refuses_changes(user: User, sql: str) -> None:
    _add(user)
    with pytest.raises(DatabaseError, match="cannot be changed"), transaction.atomic():
        connection.cursor().execute(sql)
    assert verify().ok


def test_replacing_or_truncating_is_refused_too(user: User) -> None:
    _add(user)
    if connection.vendor == "postgresql":
        sql = "TRUNCATE trail_entry"
    else:
        columns = ", ".join(field.column for field in TrailEntry._meta.fields)
        sql = f"INSERT OR REPLACE INTO trail_entry ({columns}) SELECT {columns} FROM trail_entry"
    with pytest.raises(DatabaseError, match="cannot be changed"), transaction.atomic():
        connection.cursor().execute(sql)


@pytest.mark.parametrize(
    ("sql", "first_bad"),
    [
        ("UPDATE trail_entry SET reason = 'other' WHERE id = 2", 2),
        ("UPDATE trail_entry SET actor_name = 'mallory' WHERE id = 1", 1),
        ("DELETE FROM trail_entry WHERE id = 2", 2),
        ("DELETE FROM trail_entry WHERE id = 3", 3),
        ("DELETE FROM trail_head", 1),
        (
            "UPDATE trail_head SET length = 1, hash = (SELECT hash FROM trail_entry WHERE id = 1)",
            2,
        ),
    ],
)
def test_verification_names_the_first_bad_entry(user: User, sql: str, first_bad: int) -> None:
    for number in range(3):
        _add(user, number=number)
    _tamper(sql)
    result = verify()
    assert not result.ok
    assert result.first_bad == first_bad


def test_the_command_prints_json_and_exits_1_when_broken(
    user: User, capsys: pytest.CaptureFixture[str]
) -> None:
    _add(user)
    call_command("verify_trail", "--json")
    assert json.loads(capsys.readouterr().out) == {
        "entries": 1,
        "ok": True,
        "first_bad": None,
        "message": "All 1 entries fit the chain.",
    }
    _tamper("UPDATE trail_entry SET changes = '{}'")
    with pytest.raises(SystemExit) as exit_:
        call_command("verify_trail", "--json")
    assert exit_.value.code == 1
    assert json.loads(capsys.readouterr().out)["ok"] is False


_json = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=20)
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda children: (
        st.lists(children, max_size=3)
        | st.dictionaries(st.sampled_from("abc"), children, max_size=3)
    ),
    max_leaves=8,
)


class AnyContent(TestCase):
    @settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(values=st.lists(st.dictionaries(st.sampled_from("xyz"), _json), min_size=1, max_size=3))
    def test_whatever_is_recorded_verifies_and_reads_back(self, values: list) -> None:
        user = User.objects.create_user("noor")
        for value in values:
            assert (
                record(EVENT, actor=user, subject=user, new=value).new
                == TrailEntry.objects.latest("id").new
            )
        assert verify().ok
        assert verify().entries == len(values)
