"""What machines ask."""

from __future__ import annotations

import time
from typing import Any

import pytest
from django.core.cache import cache
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families

from e2i_site import health
from e2i_site.jobs.breaker_store import DatabaseStore
from e2i_site.mlflow_connector.breaker import OPEN, BreakerData
from tests.factories.audit import FindingFactory

pytestmark = [pytest.mark.django_db, pytest.mark.once]


@pytest.fixture(autouse=True)
def _forget() -> None:
    cache.clear()


def test_healthz_needs_no_login(client: Any) -> None:
    assert client.get("/healthz").content == b"ok\n"


def test_readyz_names_what_it_looked_at(client: Any) -> None:
    response = client.get("/readyz")
    assert response.status_code == 200
    assert response.json() == {
        "ready": True,
        "checks": {"database": "ok", "migrations": "ok", "broker": "ok"},
        "mlflow": {"required": False, "breaker": "closed"},
    }


def test_a_broker_that_is_away_makes_it_not_ready(client: Any, settings: Any) -> None:
    from e2i_site import celery

    before = celery.app.conf.broker_url
    celery.app.conf.broker_url = "redis://127.0.0.1:9/0"
    try:
        response = client.get("/readyz")
    finally:
        celery.app.conf.broker_url = before
    assert response.status_code == 503
    assert response.json()["checks"]["broker"].startswith("failed: ")


def test_mlflow_away_is_reported_and_not_required(client: Any) -> None:
    DatabaseStore().update(lambda _: BreakerData(state=OPEN, opened_at=time.time()))
    response = client.get("/readyz")
    assert response.status_code == 200
    assert response.json()["mlflow"]["breaker"] == "open"


def test_metrics_are_what_prometheus_reads(client: Any) -> None:
    DatabaseStore().update(lambda _: BreakerData(state=OPEN, openings_total=3))
    text = client.get("/metrics").content.decode()
    families = {family.name: family for family in text_string_to_metric_families(text)}
    states = {s.labels["state"]: s.value for s in families["e2i_breaker_state"].samples}
    assert states == {"closed": 0, "open": 1, "half_open": 0}
    assert families["e2i_breaker_openings"].samples[0].value == 3
    priorities = {s.labels["priority"] for s in families["e2i_open_findings"].samples}
    assert priorities == {"P0", "P1", "P2", "P3", "P4"}


def test_a_finding_whose_waiver_ran_out_counts_as_open(client: Any) -> None:
    FindingFactory(priority="P1", status="waived", waived_until=timezone.now())
    assert 'e2i_open_findings{priority="P1"} 1.0' in client.get("/metrics").content.decode()


def test_metrics_can_ask_for_a_token(client: Any, settings: Any) -> None:
    settings.METRICS_TOKEN = "let me in"
    assert client.get("/metrics").status_code == 401
    assert client.get("/metrics", headers={"Authorization": "Bearer no"}).status_code == 401
    allowed = client.get("/metrics", headers={"Authorization": "Bearer let me in"})
    assert allowed.status_code == 200


def test_a_failing_check_tells_its_kind_and_no_secret() -> None:
    def check() -> str:
        raise ConnectionError("amqp://user:secret@host")

    assert health._tried(check) == "failed: ConnectionError"
