"""MLflow's webhook: verified on the raw bytes, stored once, and applied by reading again."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client
from django.utils import timezone
from hypothesis import given, settings
from hypothesis import strategies as st
from pytest_django.live_server_helper import LiveServer

from e2i_site.activity.actions.register_webhook import look_after_webhook, remove_webhook
from e2i_site.activity.models import MlflowEvent, WebhookDelivery, WebhookState
from e2i_site.jobs.models import Job, JobState
from e2i_site.jobs.runner import run
from e2i_site.mlflow_connector import get_connector, webhooks
from e2i_site.mlflow_connector.webhooks import SKEW, BadDelivery, signature, verify
from registry.mirror import mirror_model
from registry.models import RegisteredModel
from tests.activity.conftest import Others

SECRET = "only we two know"
BODY = json.dumps(
    {
        "entity": "model_version_alias",
        "action": "created",
        "timestamp": "2026-01-02T03:04:05.678901+00:00",
        "data": {"name": "churn", "alias": "team", "version": "2"},
    }
).encode()


def signed(body: bytes = BODY, *, at: float | None = None, secret: str = SECRET) -> dict[str, str]:
    delivery_id, moment = str(uuid.uuid4()), str(int(time.time() if at is None else at))
    return {
        "X-MLflow-Delivery-Id": delivery_id,
        "X-MLflow-Timestamp": moment,
        "X-MLflow-Signature": signature(secret, delivery_id, moment, body),
    }


# --- what is believed -------------------------------------------------------------------------


def test_what_a_delivery_says() -> None:
    found = verify(signed(at=1000), BODY, SECRET, now=1000 + SKEW)
    assert (found.entity, found.action, found.data["version"]) == (
        "model_version_alias",
        "created",
        "2",
    )
    assert found.sent_at.isoformat() == "2026-01-02T03:04:05.678901+00:00"


@given(st.binary(max_size=200), st.integers(0, 199), st.integers(1, 255))
@settings(max_examples=60, deadline=None)
def test_a_changed_byte_is_noticed(body: bytes, place: int, change: int) -> None:
    headers = signed(body, at=1000)
    changed = bytearray(body or b"x")
    changed[place % len(changed)] ^= change
    with pytest.raises(BadDelivery) as refused:
        verify(headers, bytes(changed), SECRET, now=1000)
    assert refused.value.code == "signature"


@pytest.mark.parametrize(
    ("headers", "body", "code"),
    [
        ({}, BODY, "unsigned"),
        (signed(at=1000, secret="another"), BODY, "signature"),
        ({**signed(at=1000), "X-MLflow-Delivery-Id": "another"}, BODY, "signature"),
        ({**signed(at=1000), "X-MLflow-Timestamp": "1001"}, BODY, "signature"),
        ({**signed(at=1000), "X-MLflow-Signature": "v1,ä"}, BODY, "signature"),
        (signed(at=1000 - SKEW - 1), BODY, "time"),
        (signed(at=1000 + SKEW + 1), BODY, "time"),
        (signed(b"no json", at=1000), b"no json", "content"),
        (signed(b'{"data": []}', at=1000), b'{"data": []}', "content"),
        (signed(b"[1]", at=1000), b"[1]", "content"),
    ],
)
def test_what_is_not_believed(headers: dict[str, str], body: bytes, code: str) -> None:
    with pytest.raises(BadDelivery) as refused:
        verify(headers, body, SECRET, now=1000)
    assert refused.value.code == code


# --- the door ---------------------------------------------------------------------------------


@pytest.fixture
def door(db: None, settings: Any) -> Any:
    settings.MLFLOW_WEBHOOK_SECRET = SECRET
    client = Client(enforce_csrf_checks=True)

    def knock(headers: dict[str, str], body: bytes = BODY) -> int:
        answer = client.post(
            "/webhooks/mlflow", body, content_type="application/json", headers=headers
        )
        return int(answer.status_code)

    return knock


def test_a_delivery_is_stored_once_and_asks_for_one_job(door: Any) -> None:
    headers = signed()
    assert door(headers) == 202
    assert door(headers) == 200
    delivery = WebhookDelivery.objects.get()
    assert (delivery.model_name, delivery.applied_at) == ("churn", None)
    job = Job.objects.get(kind="mlflow.apply_webhook")
    assert (job.payload, job.subject) == ({"model": "churn"}, "model:churn")
    state = WebhookState.objects.get()
    assert (state.verified, state.repeated, state.rejected) == (1, 1, 0)


def test_what_is_not_believed_leaves_only_a_count(door: Any) -> None:
    assert door(signed(secret="another")) == 401
    assert door({}) == 401
    assert door(signed(at=0)) == 401
    assert door(signed(), b"x" * 1_000_001) == 413
    assert not WebhookDelivery.objects.exists()
    assert not Job.objects.exists()
    state = WebhookState.objects.get()
    assert (state.verified, state.rejected) == (0, 3)
    assert state.rejected_reason.startswith("time")
    assert Client().get("/webhooks/mlflow").status_code == 405


def test_a_nul_in_a_tag_is_survived(door: Any) -> None:
    body = BODY.replace(b'"team"', b'"te\\u0000am"')
    assert door(signed(body), body) == 202
    assert WebhookDelivery.objects.get().data["alias"] == "team"


# --- with MLflow ------------------------------------------------------------------------------


@pytest.fixture
def listening(transactional_db: None) -> Iterator[str]:
    """A site of our own: what MLflow delivers late must not reach the next test."""
    server = LiveServer("localhost")
    yield server.url
    server.stop()


@pytest.fixture
def hooked(listening: str, others: Others, settings: Any) -> Any:
    """A site that listens, and its webhook in MLflow."""
    settings.MLFLOW_WEBHOOK_URL = f"{listening}/webhooks/mlflow"
    state = look_after_webhook(others.connector)
    yield state
    for each in webhooks.find(others.connector, settings.MLFLOW_WEBHOOK_URL):
        webhooks.delete(others.connector, each.webhook_id)


def test_it_is_registered_once_and_repaired(hooked: Any, others: Others, settings: Any) -> None:
    assert hooked.works, hooked.problem
    assert hooked.test_detail == "It was answered with 202."
    again = look_after_webhook(others.connector)
    assert again.webhook_id == hooked.webhook_id
    assert again.tested_at == hooked.tested_at  # a webhook that fits is not tried each time
    settings.MLFLOW_WEBHOOK_SECRET = "a new secret that MLflow does not know"
    changed = look_after_webhook(others.connector)
    assert changed.webhook_id == hooked.webhook_id
    assert changed.works
    url = settings.MLFLOW_WEBHOOK_URL
    webhooks.create(others.connector, url, "a second one, made by a copy of this site")
    assert look_after_webhook(others.connector).works
    assert len(webhooks.find(others.connector, url)) == 1
    webhooks.delete(others.connector, hooked.webhook_id)
    assert look_after_webhook(others.connector).works
    (made,) = webhooks.find(others.connector, url)
    assert made.is_whole


def test_it_is_removed_and_stays_out_till_asked_for(
    hooked: Any, others: Others, settings: Any, client: Any, people: Any
) -> None:
    url = settings.MLFLOW_WEBHOOK_URL
    for _ in range(2):
        call_command("mlflow_webhooks", "--remove")
        assert not webhooks.find(others.connector, url)
    assert not look_after_webhook(others.connector).webhook_id
    assert not webhooks.find(others.connector, url)
    client.force_login(people.viewer)
    assert "It was removed" in client.get("/activity/webhook/").content.decode()
    state = look_after_webhook(others.connector, test=True)
    assert state.works and not state.removed_at, state.problem


def test_turned_off_it_is_taken_out(hooked: Any, others: Others, settings: Any) -> None:
    settings.MLFLOW_WEBHOOKS = False
    assert not look_after_webhook(others.connector).webhook_id
    assert not webhooks.find(others.connector, settings.MLFLOW_WEBHOOK_URL)
    settings.MLFLOW_WEBHOOKS = True
    assert look_after_webhook(others.connector).works


def test_what_is_removed_while_it_is_looked_after_stays_out(
    hooked: Any, others: Others, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def remove(connector: Any) -> None:
        remove_webhook(connector)

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(others.connector, "identity", lambda: remove(others.connector))
        look_after_webhook(others.connector)
    assert not look_after_webhook(others.connector).webhook_id
    assert not webhooks.find(others.connector, settings.MLFLOW_WEBHOOK_URL)


def test_what_cannot_be_removed_is_said(others: Others, settings: Any) -> None:
    settings.MLFLOW_TRACKING_URI = "http://127.0.0.1:9"
    with pytest.raises(SystemExit):
        call_command("mlflow_webhooks", "--remove")
    state = WebhookState.objects.get()
    assert state.problem
    assert not state.removed_at


def test_a_wrong_signature_is_told_apart(hooked: Any, others: Others, settings: Any) -> None:
    webhooks.update(others.connector, hooked.webhook_id, settings.MLFLOW_WEBHOOK_URL, "another")
    state = look_after_webhook(others.connector, test=True)
    assert not state.works
    assert "MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY" in state.problem
    # It is looked at every minute, tried again after five, and told in between.
    again = look_after_webhook(others.connector)
    assert again.tested_at == state.tested_at
    assert again.problem == state.problem


def test_at_a_new_address_it_is_the_same_webhook(
    hooked: Any, others: Others, settings: Any
) -> None:
    old = settings.MLFLOW_WEBHOOK_URL
    settings.MLFLOW_WEBHOOK_URL = f"{old}?moved"
    moved = look_after_webhook(others.connector)
    assert moved.works, moved.problem
    assert moved.webhook_id == hooked.webhook_id
    assert not webhooks.find(others.connector, old)
    settings.MLFLOW_WEBHOOK_URL = f"{old}?again"
    call_command("mlflow_webhooks", "--remove")
    assert not webhooks.find(others.connector, moved.url)


def test_what_stands_in_the_way_is_named(others: Others, settings: Any) -> None:
    settings.MLFLOW_WEBHOOK_URL = "gopher://127.0.0.1/webhooks/mlflow"
    assert "MLFLOW_WEBHOOK_ALLOWED_SCHEMES" in look_after_webhook(others.connector).problem
    settings.MLFLOW_WEBHOOK_URL = "http://127.0.0.1:9/webhooks/mlflow"
    settings.MLFLOW_WEBHOOKS = False
    assert "E2I_MLFLOW_WEBHOOKS" in look_after_webhook(others.connector).problem


def test_a_server_that_is_away_lacks_no_setting(others: Others, settings: Any) -> None:
    settings.MLFLOW_TRACKING_URI = "http://mlflow.public.invalid"
    settings.MLFLOW_WEBHOOK_URL = "http://e2i.example.org/webhooks/mlflow"
    problem = look_after_webhook(get_connector()).problem
    assert "does not answer" in problem
    assert "MLFLOW_WEBHOOK" not in problem


def _arrived(deliveries: Any) -> None:
    end = time.monotonic() + 10
    while not deliveries.exists():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_delivery_that_comes_after_the_sync_tells_when_it_was(door: Any, others: Others) -> None:
    name = others.model(versions=2)
    mirror_model(name)
    others.connector.set_alias(name, "team", 2)
    mirror_model(name)
    assert MlflowEvent.objects.get().happened_at is None
    moment = timezone.now().isoformat()
    data = {"name": name, "alias": "team", "version": "2"}
    content = {"entity": "model_version_alias", "action": "created", "timestamp": moment}
    body = json.dumps({**content, "data": data}).encode()
    assert door(signed(body), body) == 202
    run(Job.objects.get(kind="mlflow.apply_webhook").pk)
    event = MlflowEvent.objects.get()
    assert event.happened_at
    assert event.happened_at.isoformat() == moment


def test_of_several_moves_to_one_place_the_last_is_told(door: Any, others: Others) -> None:
    name = others.model(versions=2)
    others.connector.set_alias(name, "team", 1)
    mirror_model(name)
    others.connector.set_alias(name, "team", 2)
    moments = [timezone.now() - timedelta(seconds=ago) for ago in (9, 6, 3)]
    for version, moment in zip("212", moments, strict=True):
        data = {"name": name, "alias": "team", "version": version}
        content = {"entity": "model_version_alias", "action": "created"}
        body = json.dumps({**content, "timestamp": moment.isoformat(), "data": data}).encode()
        assert door(signed(body), body) == 202
    run(Job.objects.filter(kind="mlflow.apply_webhook").earliest("pk").pk)
    assert MlflowEvent.objects.get().happened_at == moments[-1]
    assert not WebhookDelivery.objects.filter(applied_at=None).exists()


def test_a_moved_alias_arrives_with_its_time(hooked: Any, others: Others) -> None:
    name = others.model(versions=2)
    others.connector.set_alias(name, "team", 1)
    mirror_model(name)
    time.sleep(1.1)  # MLflow keeps its list of webhooks for a second.
    others.connector.set_alias(name, "team", 2)
    others.connector.set_version_tag(name, 1, "checked", "yes")
    waiting = WebhookDelivery.objects.filter(model_name=name, applied_at=None)
    _arrived(waiting.filter(data__alias="team", data__version="2"))
    _arrived(waiting.filter(entity="model_version_tag"))
    for job in Job.objects.filter(kind="mlflow.apply_webhook", state=JobState.QUEUED):
        run(job.pk)
        job.refresh_from_db()
        assert job.state == JobState.SUCCEEDED, job.message
    assert RegisteredModel.objects.get(name=name).aliases == {"team": "2"}
    # Others use the same MLflow meanwhile, and their changes arrive, too.
    moved, tagged = MlflowEvent.objects.filter(model_name=name).order_by("kind")
    assert (moved.kind, moved.before, moved.after, moved.source) == (
        "alias_moved",
        "1",
        "2",
        "webhook",
    )
    assert (tagged.kind, tagged.subject_id, tagged.after) == ("tag_set", f"{name}/1", "yes")
    for event in (moved, tagged):
        assert event.happened_at
        assert event.happened_at <= event.noticed_at
    assert not waiting.exists()


def test_the_page_says_whether_it_works(client: Any, people: Any) -> None:
    client.force_login(people.viewer)
    assert "Not looked at yet." in client.get("/activity/webhook/").content.decode()
    WebhookState.objects.create(
        webhook_id="w", problem="Set this.", checked_at="2026-01-01T00:00Z", rejected=3
    )
    html = client.get("/activity/webhook/").content.decode()
    assert "It does not work" in html
    assert "Set this." in html
    WebhookState.objects.update(problem="", test_passed=True)
    assert "It works" in client.get("/activity/webhook/").content.decode()
