"""Roles, rights and passwords leave an entry when they change, whichever way that was done."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client
from django.utils import timezone

from e2i_site.trail.models import TrailEntry
from tests.factories.people import PASSWORD, UserFactory

pytestmark = pytest.mark.django_db


def _last() -> TrailEntry:
    return TrailEntry.objects.latest("id")


def test_giving_and_taking_roles_is_recorded() -> None:
    user = User.objects.create_user("noor")
    approver, viewer = Group.objects.get(name="approver"), Group.objects.get(name="viewer")
    user.groups.add(approver, viewer)
    assert _last().event == "accounts.user.roles_granted"
    assert _last().new == {"roles": ["approver", "viewer"]}
    user.groups.remove(viewer)
    assert _last().event == "accounts.user.roles_removed"
    approver.user_set.remove(user)
    assert (_last().subject_label, _last().new) == ("noor", {"roles": ["approver"]})
    user.groups.add(viewer)
    user.groups.clear()
    assert _last().new == {"roles": ["viewer"]}
    assert TrailEntry.objects.count() == 5


@pytest.fixture
def admin(db: None, client: Client) -> User:
    user: User = UserFactory(username="ada", is_staff=True, is_superuser=True)
    client.force_login(user)
    return user


def test_the_password_of_another_is_on_record_without_any_value(
    admin: User, client: Client
) -> None:
    user = UserFactory(username="noor")
    new = "quite another passphrase"
    data = {"password1": new, "password2": new, "usable_password": "true"}
    answer = client.post(f"/admin/auth/user/{user.pk}/password/", data)
    assert answer.status_code == 302
    user.refresh_from_db()
    assert user.check_password(new)
    entry = TrailEntry.objects.get(subject_label="noor")
    assert (entry.event, entry.actor_name, entry.subject_label) == (
        "accounts.user.password_changed",
        "ada",
        "noor",
    )
    assert (entry.old, entry.new) == ({}, {})


def test_rights_are_on_record_old_and_new(admin: User, client: Client) -> None:
    user = UserFactory(username="noor")
    page = f"/admin/auth/user/{user.pk}/change/"
    form = client.get(page).context["adminform"].form
    data = {name: value for name, value in form.initial.items() if isinstance(value, str)}
    joined = {"date_joined_0": "2026-01-01", "date_joined_1": "00:00:00"}
    assert client.post(page, {**data, **joined, "is_staff": "on"}).status_code == 302
    entry = TrailEntry.objects.get(subject_label="noor")
    assert (entry.event, entry.actor_name) == ("accounts.user.rights_changed", "ada")
    assert entry.old == {"is_active": True, "is_staff": False, "is_superuser": False}
    assert entry.new == {"is_active": False, "is_staff": True, "is_superuser": False}


@pytest.mark.parametrize(
    ("change", "event"),
    [
        ({"is_superuser": True}, "accounts.user.rights_changed"),
        ({"first_name": "Noor"}, "accounts.user.renamed"),
    ],
)
def test_only_what_is_written_counts(change: dict[str, Any], event: str) -> None:
    user = UserFactory(username="noor")
    for name, value in {**change, "is_staff": True, "last_name": "Aziz"}.items():
        setattr(user, name, value)
    user.save(update_fields=[*change])
    assert [entry.event for entry in TrailEntry.objects.all()] == [event]


@pytest.mark.parametrize("update_fields", [None, ["password"]])
def test_a_password_that_is_taken_away_is_on_record(update_fields: list[str] | None) -> None:
    user = UserFactory()
    user.set_unusable_password()
    user.save(update_fields=update_fields)
    assert _last().event == "accounts.user.password_changed"


def test_a_login_changes_no_password(settings: Any, client: Client) -> None:
    user = UserFactory(username="noor")
    before = user.password
    settings.PASSWORD_HASHERS = [
        "django.contrib.auth.hashers.PBKDF2PasswordHasher",
        *settings.PASSWORD_HASHERS,
    ]
    assert client.login(username="noor", password=PASSWORD)
    user.refresh_from_db()
    assert user.password != before, "stored by the newer hasher"
    user.last_login = timezone.now()
    user.save()
    assert not TrailEntry.objects.exists()


def test_an_account_that_begins_with_rights_is_on_record() -> None:
    User.objects.create_user("noor")
    User.objects.create_superuser("root")
    entry = TrailEntry.objects.get()
    assert (entry.event, entry.subject_label) == ("accounts.user.rights_changed", "root")
    assert entry.old == {}
    assert entry.new == {"is_active": True, "is_staff": True, "is_superuser": True}


def test_an_account_that_is_deleted_is_on_record_with_its_roles(
    admin: User, client: Client
) -> None:
    user = UserFactory(username="noor", roles=["approver", "viewer"])
    answer = client.post(f"/admin/auth/user/{user.pk}/delete/", {"post": "yes"})
    assert answer.status_code == 302
    assert not User.objects.filter(username="noor").exists()
    entry = _last()
    assert (entry.event, entry.actor_name, entry.subject_id, entry.subject_label) == (
        "accounts.user.deleted",
        "ada",
        str(user.pk),
        "noor",
    )
    assert entry.old == {"roles": ["approver", "viewer"]}
