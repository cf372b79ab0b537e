"""The fixtures that every other test relies on."""

from __future__ import annotations

import urllib.request
from types import SimpleNamespace

import pytest
from django.contrib.auth.models import Group, User
from django.db import DatabaseError, connection, transaction

from e2i_site.core.roles import Role, roles_of
from e2i_site.trail import record
from e2i_site.trail.models import TrailEntry


def test_people_have_their_role_and_no_other(people: SimpleNamespace) -> None:
    assert roles_of(people.approver) == {Role.APPROVER}
    assert roles_of(people.outsider) == set()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("time", [1, 2])
def test_a_transactional_test_leaves_nothing_and_takes_no_role(time: int) -> None:
    """Run twice: whichever comes second sees what the first left."""
    assert not User.objects.exists()
    assert set(Role.values) <= set(Group.objects.values_list("name", flat=True))
    User.objects.create_user("someone")


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("time", [1, 2])
def test_the_trail_is_protected_again_after_each_test(time: int) -> None:
    assert not TrailEntry.objects.exists()
    with transaction.atomic():
        record.record("jobs.job.cancelled", actor=None, subject=Group.objects.first())
    with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("DELETE FROM trail_entry")


def test_the_mlflow_server_is_real(mlflow_server: str) -> None:
    with urllib.request.urlopen(f"{mlflow_server}/version", timeout=5) as response:
        assert response.read().decode().startswith("3.")
