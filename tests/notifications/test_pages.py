"""The pages: inbox, bell, wishes, webhooks with a secret shown once, and the log."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone

from e2i_site.core.roles import Role
from e2i_site.jobs.models import Job
from e2i_site.notifications.delivery import deliver
from e2i_site.notifications.models import (
    Channel,
    ChannelChoice,
    Delivery,
    DeliveryState,
    InboxItem,
    Message,
    Watch,
    Webhook,
)
from e2i_site.notifications.policies import MOST_OWN_WEBHOOKS
from e2i_site.trail.models import TrailEntry
from tests.factories.registry import ModelFactory
from tests.notifications.conftest import GRAVE, TOLD
from tests.notifications.receivers import HTTPReceiver

pytestmark = [pytest.mark.django_db, pytest.mark.once]
Tell = Callable[..., Message | None]
OWN = "/notifications/webhooks/own/"
SHARED = "/notifications/webhooks/"


@pytest.fixture
def sign_in(client: Any, people: Any) -> Callable[[str], Any]:
    def log_in(name: str) -> Any:
        client.force_login(getattr(people, name))
        return client

    return log_in


def secret_in(response: Any) -> str:
    found = re.search(r"[0-9a-f]{64}", response.content.decode())
    assert found
    return found.group()


def test_the_inbox_shows_ones_own_and_reading_marks_it(
    sign_in: Any, people: Any, tell: Tell, django_assert_max_num_queries: Any
) -> None:
    for number in range(60):
        tell(recipients=[people.viewer], title=f"News {number}", url="/registry/")
    tell(recipients=[people.auditor], title="Not for the viewer")
    client = sign_in("viewer")
    with django_assert_max_num_queries(10):
        page = client.get("/notifications/").content.decode()
    assert "News 59" in page
    assert "News 5<" not in page
    assert "Not for the viewer" not in page
    item = InboxItem.objects.filter(user=people.viewer).first()
    assert item is not None
    assert client.get(f"/notifications/{item.pk}/")["Location"] == "/registry/"
    item.refresh_from_db()
    assert item.read_at
    assert "News 59" not in client.get("/notifications/?show=unread").content.decode()
    client.post("/notifications/read/")
    assert "You have read everything" in client.get("/notifications/?show=unread").content.decode()
    assert InboxItem.objects.get(user=people.auditor).read_at is None


def test_nobody_opens_what_others_were_told(sign_in: Any, people: Any, tell: Tell) -> None:
    message = tell(recipients=[people.auditor])
    item = InboxItem.objects.get(message=message)
    assert sign_in("viewer").get(f"/notifications/{item.pk}/").status_code == 404
    item.refresh_from_db()
    assert item.read_at is None


def test_a_message_never_leads_away(sign_in: Any, people: Any, tell: Tell) -> None:
    message = tell(recipients=[people.viewer], url="//evil.example/")
    item = InboxItem.objects.get(message=message)
    answer = sign_in("viewer").get(f"/notifications/{item.pk}/")
    assert answer["Location"] == "/notifications/"


def test_the_bell_counts_with_one_query_and_pages_pay_none(
    sign_in: Any, people: Any, tell: Tell, django_assert_num_queries: Any, client: Any
) -> None:
    assert client.get("/notifications/unread/").content.strip() == b""
    tell(recipients=[people.viewer])
    sign_in("viewer")
    with django_assert_num_queries(3):  # session, person, count
        body = client.get("/notifications/unread/").content.decode()
    assert re.search(r">1<", body)
    assert 'hx-get="/notifications/unread/"' in client.get("/jobs/").content.decode()


def test_wishes_are_kept_and_grave_things_always_come(sign_in: Any, people: Any) -> None:
    client = sign_in("viewer")
    page = client.get("/notifications/preferences/").content.decode()
    assert "No mail server is configured" in page
    client.post("/notifications/preferences/", {"wanted": [f"{TOLD}|inbox"]})
    wanted = set(
        ChannelChoice.objects.filter(user=people.viewer, wanted=True).values_list(
            "event", "channel"
        )
    )
    assert wanted == {(TOLD, Channel.INBOX)}
    page = client.get("/notifications/preferences/").content.decode()
    assert re.search(rf'value="{TOLD}\|inbox"[^>]* checked', page)
    assert not re.search(rf'value="{TOLD}\|email"[^>]* checked', page)
    assert re.search(rf'value="{GRAVE}\|inbox"[^>]* checked disabled', page)


def test_a_model_is_watched_from_its_page(sign_in: Any, people: Any) -> None:
    model = ModelFactory(name="churn")
    client = sign_in("viewer")
    page = client.get(model.get_absolute_url()).content.decode()
    assert 'name="scope" value="model:churn"' in page
    data = {"scope": "model:churn", "on": "1", "next": model.get_absolute_url()}
    assert client.post("/notifications/watch/", data)["Location"] == model.get_absolute_url()
    assert Watch.objects.filter(user=people.viewer, scope="model:churn").exists()
    assert "Unwatch" in client.get(model.get_absolute_url()).content.decode()
    client.post("/notifications/watch/", {**data, "on": "0", "next": "https://evil.example/"})
    assert not Watch.objects.exists()


def test_ones_own_webhook_shows_its_secret_once(
    sign_in: Any, people: Any, receiver: HTTPReceiver, tell: Tell
) -> None:
    client = sign_in("viewer")
    answer = client.post(OWN, {"name": "Mine", "url": receiver.url, "kind": "signed"})
    assert answer.status_code == 200
    assert answer["Cache-Control"] == "no-store"
    webhook = Webhook.objects.get()
    assert secret_in(answer) == webhook.secret
    page = client.get("/notifications/preferences/").content.decode()
    assert webhook.secret not in page
    assert receiver.url not in page
    entry = TrailEntry.objects.get(event="notifications.webhook.added")
    assert entry.actor_name == "viewer"
    assert "/hook" not in entry.changes
    renewed = client.post(f"/notifications/webhooks/{webhook.pk}/renew/")
    assert secret_in(renewed) != webhook.secret
    assert TrailEntry.objects.filter(event="notifications.webhook.secret_renewed").exists()
    message = tell(recipients=[people.viewer])
    assert message is not None
    client.post(f"/notifications/webhooks/{webhook.pk}/remove/")
    assert TrailEntry.objects.filter(event="notifications.webhook.removed").exists()
    deliver(message.pk)
    left = Delivery.objects.get()
    assert (left.state, left.last_error) == (DeliveryState.FAILED, "The webhook was removed.")
    assert not receiver.calls


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://169.254.169.254/latest/", "not a public address"),
        ("https://localhost/", "not a public address"),
        ("ftp://example.org/", "whole URL"),
        ("https://no-such-host.invalid/", "cannot be resolved"),
    ],
)
def test_a_bad_address_is_refused_and_nothing_typed_is_lost(
    url: str, says: str, sign_in: Any
) -> None:
    answer = sign_in("viewer").post(OWN, {"name": "Mine", "url": url, "kind": "slack"})
    assert answer.status_code == 400
    body = answer.content.decode()
    assert says in body
    assert 'value="Mine"' in body
    assert not Webhook.objects.exists()


def test_one_person_has_only_so_many(sign_in: Any, people: Any, receiver: HTTPReceiver) -> None:
    for number in range(MOST_OWN_WEBHOOKS):
        Webhook.objects.create(name=str(number), url=receiver.url, owner=people.viewer)
    answer = sign_in("viewer").post(OWN, {"name": "More", "url": receiver.url, "kind": "slack"})
    assert answer.status_code == 400
    assert Webhook.objects.count() == MOST_OWN_WEBHOOKS


def test_shared_webhooks_are_for_administrators(sign_in: Any, receiver: HTTPReceiver) -> None:
    data = {"name": "Channel", "url": receiver.url, "kind": "slack", "model": "churn"}
    data["events"] = GRAVE
    for role in Role.values:
        client = sign_in(role)
        status = 200 if role == Role.ADMINISTRATOR else 403
        for path in (SHARED, "/notifications/log/"):
            assert client.get(path).status_code == status, (role, path)
        assert client.post(SHARED, data).status_code == status
    webhook = Webhook.objects.get()
    assert (webhook.scope, webhook.events, webhook.owner) == ("model:churn", [GRAVE], None)
    for role in Role.values[:-1]:
        path = f"/notifications/webhooks/{webhook.pk}/remove/"
        assert sign_in(role).post(path).status_code == 403
    assert sign_in("administrator").get(SHARED).status_code == 200


def test_nobody_touches_another_persons_webhook(
    sign_in: Any, people: Any, receiver: HTTPReceiver
) -> None:
    webhook = Webhook.objects.create(name="Hers", url=receiver.url, owner=people.viewer)
    for name in ("auditor", "administrator", "outsider"):
        for act in ("remove", "renew"):
            path = f"/notifications/webhooks/{webhook.pk}/{act}/"
            assert sign_in(name).post(path).status_code == 403
    assert Webhook.objects.filter(pk=webhook.pk, salt=webhook.salt).exists()


def test_the_log_says_what_failed_and_sends_it_again(
    sign_in: Any,
    people: Any,
    tell: Tell,
    receiver: HTTPReceiver,
    django_assert_max_num_queries: Any,
) -> None:
    Webhook.objects.create(name="Receiver", url=receiver.url)
    receiver.status = 404
    message = tell(title="Version 3 approved")
    assert message is not None
    deliver(message.pk)
    Job.objects.all().delete()
    client = sign_in("administrator")
    with django_assert_max_num_queries(10):
        page = client.get("/notifications/log/?state=failed").content.decode()
    assert "Version 3 approved" in page
    assert "It answered 404." in page
    delivery = Delivery.objects.get()
    path = f"/notifications/log/{delivery.pk}/resend/"
    for role in Role.values[:-1]:
        assert sign_in(role).post(path).status_code == 403
    receiver.status = 204
    client = sign_in("administrator")
    assert client.post(path).status_code == 303
    entry = TrailEntry.objects.get(event="notifications.delivery.resent")
    assert entry.actor_name == "administrator"
    assert Job.objects.get().kind == "notifications.deliver"
    deliver(message.pk, now=timezone.now())
    delivery.refresh_from_db()
    assert delivery.state == DeliveryState.SENT
    assert client.post(path).status_code == 403, "it has arrived"
