"""Home answers: what waits for me, what is unsafe now, what serves where."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.utils import timezone

from e2i_site.audit.choices import RunStatus
from e2i_site.audit.models import AuditRun, Finding
from e2i_site.core.roles import Role
from registry.choices import GateOutcome, PromotionState
from registry.emergency_policies import JUDGES
from registry.models import SyncState
from tests.factories.audit import AuditRunFactory
from tests.factories.deployments import DeploymentFactory, TrafficMinuteFactory
from tests.factories.registry import GateResultFactory, PromotionFactory, ReviewFactory

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _forget() -> None:
    cache.clear()


def audit(minutes_ago: float = 1) -> AuditRun:
    at = timezone.now() - timedelta(minutes=minutes_ago)
    return AuditRun.objects.create(status=RunStatus.FINISHED, finished_at=at, beat_at=at)


def finding(priority: str, run: AuditRun, **fields: Any) -> Finding:
    at = timezone.now()
    fields = {
        "fingerprint": f"{priority}{Finding.objects.count()}",
        "check_id": "4.2",
        "phase": 4,
        "item": "4.2",
        "title": "Stages agree",
        "subject_kind": "registry.registryentry",
        "subject_key": "1",
        "subject_label": "churn v3",
        "message": f"{priority}: the alias is elsewhere.",
        "remediation": "Carry the stage again.",
        "priority": priority,
        "first_seen": at,
        "last_seen": at,
        "opened_at": at,
        "first_run": run,
        "last_run": run,
        **fields,
    }
    return Finding.objects.create(**fields)


def home(client: Any, user: Any) -> Any:
    client.force_login(user)
    response = client.get("/")
    assert response.status_code == 200
    return response


def test_a_full_home_is_ten_queries_and_one_for_who_judges_a_break_glass(
    client: Any, people: Any, django_assert_max_num_queries: Any
) -> None:
    run = audit()
    SyncState.objects.create(source="mlflow", succeeded_at=timezone.now())
    for priority in ("P0", "P1", "P1", "P2"):
        finding(priority, run)
    for _ in range(3):
        promotion = PromotionFactory(requester=people.requester)
        GateResultFactory(promotion=promotion, gate_id="quality", outcome=GateOutcome.PASS)
    TrafficMinuteFactory(deployment=DeploymentFactory())
    for role in Role.values:
        client.force_login(getattr(people, role))
        cache.clear()
        with django_assert_max_num_queries(10 + (role in JUDGES)):
            assert client.get("/").status_code == 200


def test_an_empty_system_claims_nothing(client: Any, people: Any) -> None:
    html = home(client, people.approver).content.decode()
    assert "No audit has ended yet" in html
    assert "Nothing waits for you" in html
    assert "Nothing serves yet" in html
    assert "Nothing is known to be unsafe" not in html


def test_what_is_unsafe_comes_first(client: Any, people: Any) -> None:
    run = audit()
    finding("P2", run)
    assert "Nothing is known to be unsafe" in home(client, people.viewer).content.decode()
    finding("P1", run)
    assert "Evidence is missing: 1 finding of P1." in home(client, people.viewer).content.decode()
    finding("P0", run)
    response = home(client, people.viewer)
    assert "1 thing is wrong or unsafe now." in response.content.decode()
    assert [each.priority for each in response.context["findings"]] == ["P0", "P1"]
    assert response.context["findings_count"] == 2


def test_what_is_unsafe_is_counted_beyond_what_is_shown(client: Any, people: Any) -> None:
    run = audit()
    for _ in range(8):
        finding("P1", run)
    assert "8 findings of P1." in home(client, people.viewer).content.decode()
    for _ in range(7):
        finding("P0", run)
    response = home(client, people.viewer)
    assert "7 things are wrong or unsafe now." in response.content.decode()
    assert (len(response.context["findings"]), response.context["findings_count"]) == (6, 15)


def test_a_waived_finding_is_not_unsafe_until_its_waiver_ends(client: Any, people: Any) -> None:
    soon = timezone.now() + timedelta(days=1)
    waived = finding("P0", audit(), status="waived", waived_until=soon)
    assert home(client, people.viewer).context["findings_count"] == 0
    Finding.objects.filter(pk=waived.pk).update(waived_until=timezone.now())
    assert home(client, people.viewer).context["findings_count"] == 1


def test_an_old_audit_is_not_taken_for_a_clean_one(client: Any, people: Any) -> None:
    audit(minutes_ago=120)
    assert "The last audit is old." in home(client, people.viewer).content.decode()


def test_one_check_is_not_an_audit_of_everything(client: Any, people: Any) -> None:
    audit(minutes_ago=120)
    AuditRunFactory(check_id="1.1")
    assert "The last audit is old." in home(client, people.viewer).content.decode()


def test_each_person_sees_what_waits_for_them(client: Any, people: Any) -> None:
    promotion = PromotionFactory(requester=people.requester, state=PromotionState.OPEN)
    assert [row.promotion for row in home(client, people.approver).context["waiting"]] == [
        promotion
    ]
    assert not home(client, people.viewer).context["waiting"]
    assert not home(client, people.requester).context["waiting"]
    promotion.state = PromotionState.CHANGES_REQUESTED
    promotion.save()
    assert not home(client, people.approver).context["waiting"]
    response = home(client, people.requester)
    assert "you have to answer" in response.content.decode()


def test_who_approved_already_waits_for_nobody(client: Any, people: Any) -> None:
    promotion = PromotionFactory(requester=people.requester, state=PromotionState.OPEN)
    ReviewFactory(promotion=promotion, reviewer=people.approver, decision="approve")
    assert not home(client, people.approver).context["waiting"]


def test_what_serves_is_shown_with_what_was_measured(client: Any, people: Any) -> None:
    quiet = DeploymentFactory()
    busy = DeploymentFactory()
    TrafficMinuteFactory(deployment=busy)
    html = home(client, people.viewer).content.decode()
    assert quiet.endpoint_name in html
    assert busy.endpoint_name in html
    assert "none" in html
    assert " ms" in html
