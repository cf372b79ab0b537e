"""Signing in and one's own account."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.core.cache import cache
from knox.models import AuthToken

from e2i_site import status
from e2i_site.trail.models import TrailEntry
from tests.conftest import PASSWORD

pytestmark = pytest.mark.django_db
PAGES = ("/", "/training/", "/registry/", "/audit/", "/trail/", "/jobs/")


def test_signing_in_leads_where_one_wanted_to_go(client: Any, people: Any) -> None:
    response = client.get("/trail/")
    assert response.status_code == 302
    login = response["Location"]
    assert login.startswith("/accounts/login/")
    response = client.post(login, {"username": "viewer", "password": PASSWORD, "next": "/trail/"})
    assert response["Location"] == "/trail/"


def test_signing_in_never_leads_away(client: Any, people: Any) -> None:
    data = {"username": "viewer", "password": PASSWORD, "next": "https://evil.example/"}
    assert client.post("/accounts/login/", data)["Location"] == "/"


def test_a_wrong_password_says_so_and_keeps_the_name(client: Any, people: Any) -> None:
    response = client.post("/accounts/login/", {"username": "viewer", "password": "wrong"})
    assert response.status_code == 200
    assert 'value="viewer"' in response.content.decode()
    assert "correct username and password" in response.content.decode()


def test_too_many_failures_lock_the_name_and_say_for_how_long(
    client: Any, people: Any, settings: Any
) -> None:
    settings.AXES_ENABLED = True
    settings.AXES_FAILURE_LIMIT = 2
    data = {"username": "viewer", "password": "wrong"}
    client.post("/accounts/login/", data)
    response = client.post("/accounts/login/", data)
    assert response.status_code == 429
    assert "for 15 minutes" in response.content.decode()
    right = client.post("/accounts/login/", {**data, "password": PASSWORD})
    assert right.status_code == 429


def test_signing_out_is_a_post(client: Any, people: Any) -> None:
    client.force_login(people.viewer)
    assert client.get("/accounts/logout/").status_code == 405
    assert client.post("/accounts/logout/")["Location"] == "/accounts/login/"
    assert client.get("/trail/").status_code == 302


@pytest.mark.parametrize("path", PAGES)
def test_pages_ask_for_a_login_and_a_role(path: str, client: Any, people: Any) -> None:
    assert client.get(path).status_code == 302
    client.force_login(people.outsider)
    response = client.get(path)
    assert response.status_code == 403
    assert "has no role yet; an administrator gives one" in response.content.decode()


def test_somebody_without_a_role_learns_it_from_the_profile(client: Any, people: Any) -> None:
    client.force_login(people.outsider)
    assert "has no role yet" in client.get("/accounts/profile/").content.decode()


def test_a_token_is_shown_once_works_and_is_recorded(client: Any, people: Any) -> None:
    client.force_login(people.viewer)
    response = client.post("/accounts/tokens/", {"days": "7"})
    assert response["Cache-Control"] == "no-store"
    found = re.search(r'data-copy="([0-9a-zA-Z]{40,})"', response.content.decode())
    assert found
    token = found[1]
    assert token not in client.get("/accounts/profile/").content.decode()
    client.logout()
    api = client.get("/api/v1/jobs/", headers={"Authorization": f"Token {token}"})
    assert api.status_code == 200
    entry = TrailEntry.objects.get(event="accounts.token.made")
    assert entry.actor_name == "viewer"
    assert token not in entry.changes


def test_a_revoked_token_is_refused_and_recorded(client: Any, people: Any) -> None:
    made, token = AuthToken.objects.create(user=people.viewer)
    client.force_login(people.viewer)
    client.post(f"/accounts/tokens/{made.token_key}/revoke/")
    client.logout()
    api = client.get("/api/v1/jobs/", headers={"Authorization": f"Token {token}"})
    assert api.status_code == 401
    assert TrailEntry.objects.filter(event="accounts.token.revoked").count() == 1


def test_nobody_revokes_the_token_of_another(client: Any, people: Any) -> None:
    made, _ = AuthToken.objects.create(user=people.approver)
    client.force_login(people.administrator)
    assert client.post(f"/accounts/tokens/{made.token_key}/revoke/").status_code == 404
    assert AuthToken.objects.count() == 1


@pytest.mark.parametrize("days", ["0", "100000", "x", ""])
def test_a_token_always_expires(days: str, client: Any, people: Any) -> None:
    client.force_login(people.viewer)
    assert client.post("/accounts/tokens/", {"days": days}).status_code == 400
    assert not AuthToken.objects.exists()


@pytest.mark.parametrize("address", ["/accounts/password/", "/admin/password_change/"])
def test_a_password_cannot_be_guessed_where_it_is_changed(
    address: str, client: Any, people: Any, settings: Any
) -> None:
    """Whoever finds a session open must not learn the password, which signs decisions."""
    settings.AXES_ENABLED = True
    settings.AXES_FAILURE_LIMIT = 3
    people.viewer.is_staff = True
    people.viewer.save()
    client.force_login(people.viewer)
    new = {"new_password1": "quite another phrase", "new_password2": "quite another phrase"}
    for _ in range(3):
        client.post(address, {"old_password": "a guess", **new}, follow=True)
    client.post(address, {"old_password": PASSWORD, **new}, follow=True)
    people.viewer.refresh_from_db()
    assert people.viewer.check_password(PASSWORD)


def test_the_password_can_be_changed(client: Any, people: Any) -> None:
    client.force_login(people.viewer)
    new = "quite another passphrase"
    data = {"old_password": PASSWORD, "new_password1": new, "new_password2": new}
    assert client.post("/accounts/password/", data)["Location"] == "/accounts/profile/"
    people.viewer.refresh_from_db()
    assert people.viewer.check_password(new)
    entry = TrailEntry.objects.get(event="accounts.user.password_changed")
    assert (entry.actor_name, entry.subject_label) == ("viewer", "viewer")


def test_the_profile_is_few_queries(
    client: Any, people: Any, django_assert_max_num_queries: Any
) -> None:
    client.force_login(people.approver)
    # The state of the site is kept for seconds, not read by each page.
    cache.set(status.CACHE_KEY, status.site_status(), 60)
    with django_assert_max_num_queries(6):
        assert client.get("/accounts/profile/").status_code == 200


def test_a_full_name_is_set_once(client: Any, people: Any) -> None:
    nameless = people.outsider
    client.force_login(nameless)
    assert 'id="name"' in client.get("/accounts/profile/").content.decode()
    assert client.post("/accounts/profile/name/", {"first_name": "Noor"}).status_code == 400
    data = {"first_name": "Noor", "last_name": "Aziz"}
    assert client.post("/accounts/profile/name/", data).status_code == 303
    nameless.refresh_from_db()
    assert nameless.get_full_name() == "Noor Aziz"
    entry = TrailEntry.objects.get(event="accounts.user.renamed")
    assert (entry.actor_name, entry.new["last_name"]) == ("outsider", "Aziz")
    client.post("/accounts/profile/name/", {"first_name": "Amina", "last_name": "Haddad"})
    nameless.refresh_from_db()
    assert nameless.get_full_name() == "Noor Aziz"
