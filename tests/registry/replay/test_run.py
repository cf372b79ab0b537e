"""Replaying a document over stored promotions: by page, command and API, without writing."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone

from e2i_site.trail.models import TrailEntry
from registry.actions.publish_policy import publish_policy
from registry.document.read import read
from registry.models import Promotion, PromotionPolicy
from registry.replay.run import proposed_policy, replay
from tests.factories.people import PASSWORD
from tests.factories.registry import (
    EntryFactory,
    GateResultFactory,
    ModelFactory,
    PromotionFactory,
    ReviewFactory,
)

pytestmark = pytest.mark.django_db
SOURCE = """\
name: strict
models: ["churn*"]
stages:
  staging:
    gates: [{id: signature}]
    approvals: {count: 1, roles: [approver]}
"""
STRICTER = SOURCE.replace("count: 1", "count: 2")


@pytest.fixture
def policy(people: SimpleNamespace) -> PromotionPolicy:
    return publish_policy(source=SOURCE, reason="Why", actor=people.administrator)


@pytest.fixture
def applied(people: SimpleNamespace, policy: PromotionPolicy) -> Promotion:
    return _applied(people, policy, "churn")


def _applied(people: SimpleNamespace, policy: PromotionPolicy, name: str) -> Promotion:
    model = ModelFactory(name=name)
    promotion = PromotionFactory(
        entry=EntryFactory(model=model), policy=policy, state="applied", decided_at=timezone.now()
    )
    GateResultFactory(promotion=promotion, gate_id="signature", specification={"id": "signature"})
    ReviewFactory(
        promotion=promotion, reviewer=people.approver, decision="approve", groups=["approver"]
    )
    return promotion


def test_only_models_that_the_document_would_govern_are_replayed(
    people: SimpleNamespace, policy: PromotionPolicy, applied: Promotion
) -> None:
    _applied(people, policy, "other")
    PromotionFactory(entry=EntryFactory(model=applied.entry.model), policy=policy)  # open
    same = replay(proposed_policy(read(SOURCE)))
    assert (same.models, same.total, same.counts["same"]) == (1, 1, 1)
    other = replay(proposed_policy(read(STRICTER)))
    (differing,) = other.differing
    assert (differing.past.pk, differing.judgement.result) == (applied.pk, "blocked")
    wider = replay(proposed_policy(read(STRICTER.replace("churn*", "*"))))
    assert (wider.models, wider.counts["blocked"]) == (2, 2)


def test_the_number_of_queries_does_not_grow(
    people: SimpleNamespace, policy: PromotionPolicy, django_assert_num_queries: Any
) -> None:
    for number in range(4):
        _applied(people, policy, f"churn_{number}")
    proposed = proposed_policy(read(STRICTER.replace("id: signature", "id: model_card")))
    with django_assert_num_queries(6):
        found = replay(proposed)
    assert found.counts["blocked"] == 4


def test_by_command(applied: Promotion, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "strict.yaml"
    file.write_text(STRICTER)
    call_command("replay_policy", file)
    assert f"#{applied.pk} {applied}: would have been blocked" in capsys.readouterr().out
    call_command("replay_policy", file, "--json", "--since", "2999-01-01")
    assert json.loads(capsys.readouterr().out)["promotions"] == 0
    file.write_text(STRICTER.replace("signature", "nope"))
    with pytest.raises(CommandError, match=rf"{file}:5:14: .*No gate is called 'nope'"):
        call_command("replay_policy", file)


def test_by_api(people: SimpleNamespace, applied: Promotion) -> None:
    before = TrailEntry.objects.count()
    client = Client()
    client.force_login(people.auditor)
    found = _post(client, "replay/", source=STRICTER)
    assert found.json()["counts"] == {"same": 0, "allowed": 0, "blocked": 1, "unknown": 0}
    (row,) = found.json()["differing"]
    assert row["reasons"][0]["rule"] == "stages.staging.approvals"
    wrong = _post(client, "replay/", source=STRICTER.replace("signature", "nope"))
    assert wrong.status_code == 400
    assert wrong["Content-Type"] == "application/problem+json"
    (error,) = wrong.json()["errors"]
    assert (error["pointer"], error["line"]) == ("/stages/staging/gates/0/id", 5)
    assert TrailEntry.objects.count() == before
    client.force_login(people.approver)
    assert _post(client, "replay/", source=STRICTER).status_code == 403


def test_publishing_by_api(people: SimpleNamespace, policy: PromotionPolicy) -> None:
    client = Client()
    client.force_login(people.administrator)
    body = {"source": STRICTER, "reason": "Two see more.", "password": PASSWORD}
    assert _post(client, "", **body, seen=0).status_code == 409
    made = _post(client, "", **body, seen=1)
    assert (made.status_code, made.json()["version"], made.json()["source"]) == (201, 2, STRICTER)


def _post(client: Client, path: str, **body: Any) -> Any:
    return client.post(f"/api/v1/policies/{path}", body, content_type="application/json")
