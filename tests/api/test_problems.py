"""Every error is a problem document that says what, where, and what to do."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from django.test import Client
from rest_framework.test import APIClient

from e2i_site.accounts.api import Pace
from e2i_site.core.renderers import MAX_BODY
from tests.api.conftest import Caller, address

pytestmark = [pytest.mark.django_db, pytest.mark.once]
EXPERIMENTS = "/api/v1/experiments/"


def problem(response: Any, status: int, words: str = "") -> dict[str, Any]:
    """The body of an answer that must be a problem with these words."""
    assert response.status_code == status, response.content
    assert response["Content-Type"] == "application/problem+json"
    body: dict[str, Any] = response.json()
    assert (body["type"], body["status"]) == ("about:blank", status)
    assert body["title"]
    assert body["instance"].startswith("/api/")
    assert words in body["detail"], body
    return body


@pytest.fixture
def requester(people: SimpleNamespace, as_person: Caller) -> APIClient:
    return as_person(people.requester)


def send(client: APIClient, body: Any, content_type: str = "application/json") -> Any:
    return client.post(EXPERIMENTS, body, content_type=content_type)


@pytest.mark.parametrize("path", ["", "jobs/", "jobs/1/", "trail/?format=csv"])
def test_without_signing_in(path: str, db: None) -> None:
    response = APIClient().get(f"/api/v1/{path}")
    problem(response, 401, "credentials were not provided")
    assert response["WWW-Authenticate"] == "Token"


@pytest.mark.parametrize("token", ["wrong", "w" * 64, "two words", "", "\u00ff\u00fe"])
def test_with_a_wrong_token(token: str, db: None) -> None:
    response = APIClient().get("/api/v1/jobs/", headers={"Authorization": f"Token {token}"})
    problem(response, 401, "oken")


def test_without_a_role(people: SimpleNamespace, as_person: Caller, as_service: Caller) -> None:
    for client in (as_person(people.outsider), as_service(people.outsider)):
        for path in ("", "jobs/", "experiments/?format=csv"):
            problem(client.get(f"/api/v1/{path}"), 403, "an administrator gives one")


@pytest.mark.parametrize("signed_in", [True, False])
def test_an_address_that_leads_nowhere(
    signed_in: bool, requester: APIClient, client: Client
) -> None:
    caller = requester if signed_in else client
    for path in ("/api/v1/nothing/", "/api/v2/jobs/", "/api/nothing"):
        problem(caller.get(path), 404, f"Nothing is at {path}.")
    assert "html" in client.get("/nothing/")["Content-Type"]


@pytest.mark.parametrize("key", ["0", "99999999999999999999999", "abc", "-1", "%00"])
def test_an_object_that_does_not_exist(key: str, requester: APIClient) -> None:
    for collection in ("jobs", "experiments", "models", "promotions"):
        problem(requester.get(f"/api/v1/{collection}/{key}/"), 404, "Nothing is at")


def test_a_page_that_does_not_exist(requester: APIClient) -> None:
    problem(requester.get("/api/v1/jobs/?page=99"), 404, "Invalid page")


@pytest.mark.parametrize("method", ["put", "patch", "delete"])
def test_a_method_that_is_not_there(
    method: str, requester: APIClient, world: dict[str, Any]
) -> None:
    for collection, row in world.items():
        response = getattr(requester, method)(address(collection, row))
        problem(response, 405, method.upper())
        assert "GET" in response["Allow"]
    problem(requester.post("/api/v1/trail/"), 405, "POST")


@pytest.mark.parametrize(
    "body", ["{", "[1, 2", '{"a": 1} x', '{"a": NaN}', b'{"a": "\xff"}', "[" * 100_000]
)
def test_a_body_that_is_no_json(body: str | bytes, requester: APIClient) -> None:
    problem(send(requester, body), 400, "JSON")


@pytest.mark.parametrize("body", ["null", "[]", "7", '"text"', "true"])
def test_a_body_that_is_no_object(body: str, requester: APIClient) -> None:
    assert problem(send(requester, body), 400)["errors"]


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "image/png"])
def test_a_body_of_another_kind(kind: str, requester: APIClient) -> None:
    problem(send(requester, "name=x", kind), 415, kind)


def test_a_body_that_is_too_large(requester: APIClient) -> None:
    problem(send(requester, "[" + " " * MAX_BODY + "]"), 413, "1,048,576 bytes")


def test_an_answer_that_cannot_be_given(requester: APIClient) -> None:
    response = requester.get("/api/v1/jobs/1/", headers={"Accept": "image/png"})
    problem(response, 406, "Accept")
    problem(requester.get("/api/v1/jobs/?format=xml"), 400, "There is no format 'xml'")


def test_several_fields_at_fault(requester: APIClient) -> None:
    body = problem(send(requester, '{"criteria": {"minimum_auc": "high"}, "colour": 1}'), 400)
    assert {each["field"] for each in body["errors"]} == {"colour"}
    body = problem(send(requester, '{"criteria": {"minimum_auc": "high"}}'), 400, "required")
    fields = {each["field"] for each in body["errors"]}
    assert fields == {"experiment_id", "name", "dataset", "criteria.minimum_auc"}


def test_somebody_was_faster(
    requester: APIClient, world: dict[str, Any], people: SimpleNamespace
) -> None:
    taken = world["experiments"]
    body = {"experiment_id": taken.experiment_id, "name": "Mine", "dataset": taken.dataset.name}
    words = f"There is an experiment {taken.experiment_id} already."
    problem(requester.post(EXPERIMENTS, body), 409, words)


def test_too_many_calls(requester: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Pace, "rate", "2/min")
    for _ in range(2):
        assert requester.get("/api/v1/jobs/").status_code == 200
    response = requester.get("/api/v1/jobs/")
    problem(response, 429, "throttled")
    assert 0 < int(response["Retry-After"]) <= 60


def test_a_fault_of_ours(requester: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(**arguments: Any) -> None:
        raise ZeroDivisionError("secret detail")

    monkeypatch.setattr("training.api.views.create_experiment", broken)
    monkeypatch.setattr("training.api.views.find_dataset", lambda *names: None)
    response = send(requester, '{"experiment_id": "a", "name": "b", "dataset": "c"}')
    body = problem(response, 500, "E2I failed to answer")
    assert "secret" not in str(body)
    assert response["X-Request-Id"]


def test_a_host_that_is_not_ours(client: Client) -> None:
    problem(client.get("/api/v1/", headers={"Host": "evil.example"}), 400, "cannot be read")


def test_the_schema_and_its_page_are_for_people_with_a_role(
    people: SimpleNamespace, client: Client, as_person: Caller
) -> None:
    problem(client.get("/api/schema/"), 401)
    problem(as_person(people.outsider).get("/api/schema/"), 403)
    assert client.get("/api/docs/").status_code == 302
    viewer = as_person(people.viewer)
    assert viewer.get("/api/schema/?format=json").json()["openapi"].startswith("3.")
    page = viewer.get("/api/docs/")
    assert page.status_code == 200
    assert "'unsafe-eval'" not in page["Content-Security-Policy"]
