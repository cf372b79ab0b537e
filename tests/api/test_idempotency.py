"""`Idempotency-Key`: one effect and one answer, whatever happens in between."""

from __future__ import annotations

import threading
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone
from rest_framework.test import APIClient

from e2i_site.accounts.models import IdempotencyRecord
from e2i_site.trail.models import TrailEntry
from tests.api.conftest import Caller
from tests.factories.people import PASSWORD
from tests.factories.registry import STAGES, EntryFactory, ModelFactory, PolicyFactory
from tests.factories.training import DatasetFactory
from training.models import Experiment, TrainingRun

URL = "/api/v1/experiments/"


@pytest.fixture
def client(people: SimpleNamespace, as_service: Caller) -> APIClient:
    return as_service(people.requester)


@pytest.fixture
def body(db: None) -> dict[str, Any]:
    return {"experiment_id": "churn", "name": "Churn", "dataset": DatasetFactory().name}


def post(client: APIClient, body: Any, key: str = "monday", url: str = URL) -> Any:
    return client.post(url, body, headers={"Idempotency-Key": key})


@pytest.mark.django_db
def test_the_same_call_twice_has_one_effect_and_one_answer(
    client: APIClient, body: dict[str, Any]
) -> None:
    post(client, body)
    asked = {"experiment": "churn", "algorithm": "LightGBM"}
    url = "/api/v1/training-runs/"
    first = post(client, asked, "tuesday", url)
    recorded = TrailEntry.objects.count()
    again = post(client, dict(reversed(asked.items())), "tuesday", url)
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json()
    assert ("Idempotency-Replayed" in first, again["Idempotency-Replayed"]) == (False, "true")
    assert (TrainingRun.objects.count(), TrailEntry.objects.count()) == (1, recorded)
    post(client, asked, "wednesday", url)
    client.post(url, asked)
    assert TrainingRun.objects.count() == 3


@pytest.mark.django_db
def test_another_request_under_the_same_key_is_refused(
    client: APIClient, body: dict[str, Any]
) -> None:
    assert post(client, body).status_code == 201
    for other, url in (
        ({**body, "experiment_id": "visits"}, URL),
        ({"experiment": "churn", "algorithm": "LightGBM"}, "/api/v1/training-runs/"),
        (body, f"{URL}?x=1"),
    ):
        response = post(client, other, url=url)
        assert response.status_code == 422
        assert response.json()["detail"] == "Idempotency-Key 'monday' was used for another request."
    assert (Experiment.objects.count(), TrainingRun.objects.count()) == (1, 0)


@pytest.mark.django_db
def test_keys_of_different_callers_do_not_meet(
    client: APIClient, body: dict[str, Any], people: SimpleNamespace, as_service: Caller
) -> None:
    post(client, body)
    other = as_service(people.administrator)
    assert post(other, body).status_code == 409
    assert post(other, {**body, "experiment_id": "visits"}).status_code == 201


@pytest.mark.django_db
def test_a_refused_call_leaves_the_key_free(
    client: APIClient, body: dict[str, Any], people: SimpleNamespace, as_person: Caller
) -> None:
    assert post(client, {**body, "dataset": "nothing"}).status_code == 400
    assert post(client, "[]").status_code == 400
    assert post(as_person(people.viewer), body).status_code == 403
    assert not IdempotencyRecord.objects.exists()
    assert post(client, body).status_code == 201


@pytest.mark.django_db
def test_a_fault_leaves_neither_effect_nor_record(
    client: APIClient, body: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer fails after the action has done its work."""
    with monkeypatch.context() as patched:
        patched.setattr(
            "training.api.views.ExperimentViewSet.shown", lambda *arguments: 1 / 0, raising=True
        )
        assert post(client, body).status_code == 500
    assert not Experiment.objects.exists()
    assert not IdempotencyRecord.objects.exists()
    assert not TrailEntry.objects.filter(event__startswith="training.").exists()
    assert post(client, body).status_code == 201


@pytest.mark.django_db
def test_a_refusal_keeps_what_must_stay_visible(
    people: SimpleNamespace, as_person: Caller, as_service: Caller
) -> None:
    """Evidence that changed is stored although the decision made on the old one is refused."""
    policy = PolicyFactory(stages=STAGES)
    entry = EntryFactory(model=ModelFactory(policy_name=policy.name))
    asked = {"model": entry.model_id, "version": 1, "to_stage": "staging", "reason": "Better."}
    made = post(as_service(people.requester), asked, url="/api/v1/promotions/").json()
    type(entry).objects.filter(pk=entry.pk).update(signature={"inputs": []})
    decision = {
        "decision": "approve",
        "reason": "Read.",
        "revision": made["revision"],
        "password": PASSWORD,
    }
    address = f"/api/v1/promotions/{made['id']}/"
    reviewer = as_person(people.reviewer)
    assert post(reviewer, decision, url=f"{address}review/").status_code == 409
    now = reviewer.get(address).json()
    assert now["revision"] > made["revision"]
    assert [gate["outcome"] for gate in now["gates"]] == ["pass", "fail"]
    assert now["reviews"] == []


@pytest.mark.django_db
def test_a_key_is_kept_for_a_day(client: APIClient, body: dict[str, Any]) -> None:
    post(client, body)
    yesterday = timezone.now() - timedelta(days=1, minutes=1)
    IdempotencyRecord.objects.update(created_at=yesterday)
    assert post(client, body).status_code == 409
    assert not IdempotencyRecord.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize("key", ["k" * 201, "a\tb"])
def test_a_key_that_cannot_be_one(key: str, client: APIClient, body: dict[str, Any]) -> None:
    response = post(client, body, key)
    assert response.status_code == 400
    assert response.json()["errors"][0]["field"] == "Idempotency-Key"


@pytest.mark.django_db
def test_reading_takes_no_key(client: APIClient, body: dict[str, Any]) -> None:
    for _ in range(2):
        assert client.get(URL, headers={"Idempotency-Key": "monday"}).status_code == 200
    assert not IdempotencyRecord.objects.exists()


def test_two_at_once_have_one_effect(
    transactional_db: None, people: SimpleNamespace, as_service: Caller
) -> None:
    made = {"experiment_id": "churn", "name": "Churn", "dataset": DatasetFactory().name}
    post(as_service(people.requester), made, "first")
    clients = [as_service(people.requester) for _ in range(4)]
    together = threading.Barrier(len(clients))
    answers: list[Any] = []

    def call(client: APIClient) -> None:
        try:
            together.wait()
            asked = {"experiment": "churn", "algorithm": "LightGBM"}
            answers.append(post(client, asked, url="/api/v1/training-runs/"))
        finally:
            connection.close()

    threads = [threading.Thread(target=call, args=(client,)) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [answer.status_code for answer in answers] == [201] * 4
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert TrainingRun.objects.count() == 1
    assert sum("Idempotency-Replayed" in answer for answer in answers) == 3
