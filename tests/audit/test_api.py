from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from knox.models import AuthToken
from rest_framework.test import APIClient

from e2i_site.audit import runner
from e2i_site.audit.choices import Priority
from e2i_site.audit.models import AuditRun, Finding, Waiver

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("quiet_broker")]


@pytest.fixture
def finding(only_checks: Any) -> Finding:
    only_checks("4.1", lambda context: [context.failed("churn v1", "No text.")], Priority.P2)
    runner.execute(runner.prepare())
    return Finding.objects.get()


def person(user: Any) -> APIClient:
    client = APIClient()
    client.force_login(user)
    return client


def service(user: Any) -> APIClient:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Token {AuthToken.objects.create(user)[1]}")
    return client


def waiver(owner: str = "auditor") -> dict[str, Any]:
    until = timezone.now() + timedelta(days=3)
    return {"owner": owner, "reason": "It is described next week.", "expires_at": until}


def test_findings_are_filtered_like_on_the_page(finding: Finding, people: Any) -> None:
    client = person(people.viewer)
    for query, number in (("status=open", 1), ("status=resolved", 0), ("check=4.1&text=churn", 1)):
        assert client.get(f"/api/v1/findings/?{query}").json()["count"] == number


def test_an_audit_is_started_by_a_person_or_a_service(finding: Finding, people: Any) -> None:
    response = service(people.auditor).post("/api/v1/audit-runs/", {"phase": 4})
    assert (response.status_code, response.json()["phase"]) == (201, 4)
    assert person(people.viewer).post("/api/v1/audit-runs/").status_code == 403
    assert AuditRun.objects.count() == 2


def test_a_person_waives_and_revokes(finding: Finding, people: Any) -> None:
    client = person(people.auditor)
    response = client.post(f"/api/v1/findings/{finding.pk}/waive/", waiver())
    assert (response.status_code, response.json()["status"]) == (200, "waived")
    response = client.post(f"/api/v1/findings/{finding.pk}/revoke/", {"reason": "Done already."})
    assert response.json()["status"] == "open"


def test_a_service_never_waives(finding: Finding, people: Any) -> None:
    response = service(people.auditor).post(f"/api/v1/findings/{finding.pk}/waive/", waiver())
    assert response.status_code == 403
    assert response.headers["Content-Type"] == "application/problem+json"
    assert not Waiver.objects.exists()


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"owner": "nobody"}, 400),
        ({"owner": "outsider"}, 403),
        ({"owner": "viewer"}, 403),
        ({"reason": "short"}, 403),
    ],
)
def test_a_waiver_that_does_not_fit(
    finding: Finding, people: Any, change: dict[str, str], status: int
) -> None:
    data = waiver() | change
    response = person(people.auditor).post(f"/api/v1/findings/{finding.pk}/waive/", data)
    assert response.status_code == status
    assert not Waiver.objects.exists()
