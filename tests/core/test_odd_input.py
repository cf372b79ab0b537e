"""What no database takes, and digits that are none, are refused and never a fault of ours."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.cache import cache
from rest_framework.test import APIClient

from tests.factories.registry import STAGES, EntryFactory, PolicyFactory, PromotionFactory

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]
MANY = "9" * 5000


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("/registry/models/a%00b/", 404),
        ("/registry/models/names/?q=%00", 400),
        ("/registry/people/?q=%00", 400),
        ("/registry/policies/edit/?from=%00", 400),
        (f"/registry/policies/edit/?from=rules&version={MANY}", 404),
        (f"/registry/policies/rules/compare/?from={MANY}", 404),
        (f"/registry/promotions/new/?model=churn&version={MANY}", 404),
        (f"/registry/models/churn/compare/?a={MANY}&b=1", 302),
        (f"/audit/report/?run={MANY}", 400),
        ("/audit/report/md/?run=²", 400),
        ("/api/v1/models/a%00b/", 404),
        ("/api/v1/models/?name=%00", 400),
    ],
)
def test_of_addresses(address: str, status: int, client: Any, people: Any) -> None:
    PolicyFactory(name="rules", stages=STAGES)
    entry = EntryFactory(model__name="churn")
    EntryFactory(model=entry.model)
    client.force_login(people.administrator)
    assert client.get(address).status_code == status


def test_of_bodies(client: Any, people: Any) -> None:
    client.force_login(people.requester)
    for on in ("1", "0"):
        answer = client.post("/notifications/watch/", {"scope": "model:\x00", "on": on})
        assert answer.status_code == 400
    reviewers = f"/registry/promotions/{PromotionFactory(requester=people.requester).pk}/reviewers/"
    assert client.post(reviewers, {"reviewers": "a\x00b"}).status_code == 303
    cache.clear()
    api = APIClient()
    api.force_login(people.requester)
    for text in ("\\u0000", "\\ud800"):
        body = f'{{"experiment": "{text}", "algorithm": "XGBoost"}}'
        answer = api.post("/api/v1/training-runs/", body, content_type="application/json")
        assert answer.status_code == 400
        assert {each["field"] for each in answer.json()["errors"]} == {"experiment"}
