"""What every page says about the system, in one query."""

from __future__ import annotations

import time
import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.utils import timezone

from e2i_site.audit.choices import RunStatus
from e2i_site.audit.models import AuditRun
from e2i_site.jobs.breaker_store import DatabaseStore
from e2i_site.jobs.models import Job
from e2i_site.mlflow_connector.breaker import OPEN, BreakerData, Opening
from e2i_site.status import site_status
from registry.models import SyncState

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _forget() -> None:
    cache.clear()


def breaker(**data: Any) -> None:
    DatabaseStore().update(lambda _: BreakerData(**data))


def test_before_anything_happened_it_claims_nothing() -> None:
    status = site_status()
    assert status.breaker.words == "not read yet"
    assert (status.synced_at, status.audited_at, status.jobs_unfinished) == (None, None, 0)


def test_all_facts_come_with_one_query(django_assert_num_queries: Any) -> None:
    now = timezone.now()
    SyncState.objects.create(source="mlflow", succeeded_at=now)
    run = AuditRun.objects.create(status=RunStatus.FINISHED, finished_at=now, beat_at=now)
    AuditRun.objects.create(status=RunStatus.RUNNING, beat_at=now)
    for key in ("", "", "every:mlflow.sync"):
        Job.objects.create(kind="audit.run", key=key, run_after=now, request_id=uuid.uuid4())
    breaker(failures=2)
    with django_assert_num_queries(1):
        status = site_status()
    assert status.synced_at == now
    assert (status.audited_at, status.audit_run) == (now, run.pk)
    assert status.jobs_unfinished == 2
    assert (status.breaker.words, status.breaker.blocked) == ("failing", False)
    with django_assert_num_queries(0):
        site_status()


def test_an_open_breaker_says_why_and_when_it_is_tried_again() -> None:
    opened = time.time()
    breaker(state=OPEN, opened_at=opened, openings=(Opening(opened, "Connection refused."),))
    status = site_status()
    assert status.breaker.blocked
    assert "Connection refused." in status.breaker.detail
    assert status.breaker.retry_at is not None
    assert timedelta(0) < status.breaker.retry_at - timezone.now() <= timedelta(seconds=30)


def test_an_open_breaker_whose_pause_is_over_names_no_past_moment() -> None:
    breaker(state=OPEN, opened_at=time.time() - 120)
    assert site_status().breaker.retry_at is None


def test_the_banner_is_on_every_page(client: Any, people: Any) -> None:
    breaker(state=OPEN, opened_at=time.time())
    client.force_login(people.viewer)
    for path in ("/", "/trail/", "/jobs/", "/accounts/profile/"):
        assert "MLflow does not answer." in client.get(path).content.decode()
