"""What leaves: through a real mail server and real HTTP receivers, until it arrives or ends."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from e2i_site.jobs.models import Job, JobState
from e2i_site.jobs.runner import run
from e2i_site.notifications import delivery as carrying
from e2i_site.notifications.actions.resend import resend
from e2i_site.notifications.delivery import FIRST_PAUSE, LONGEST_PAUSE, deliver, pause_after
from e2i_site.notifications.models import (
    Delivery,
    DeliveryState,
    Message,
    Webhook,
    WebhookKind,
)
from e2i_site.notifications.senders import sign
from e2i_site.notifications.sweep import KEEP, ask_again, forget
from tests.notifications.receivers import HTTPReceiver, SMTPReceiver, http_receiver
from tests.services import free_port

pytestmark = pytest.mark.django_db
Tell = Callable[..., Message | None]


def hook(receiver: HTTPReceiver | str, **fields: Any) -> Webhook:
    url = receiver if isinstance(receiver, str) else receiver.url
    return Webhook.objects.create(name="receiver", url=url, **fields)


def sent(message: Message | None) -> Delivery:
    assert message is not None
    return message.deliveries.get()


def later(message: Message | None, attempts: int = 1) -> None:
    """A round when the n-th pause is over."""
    assert message is not None
    deliver(message.pk, now=timezone.now() + pause_after(attempts) + timedelta(seconds=1))


def test_a_job_mails_it(tell: Tell, people: Any, mail_server: SMTPReceiver) -> None:
    message = tell(recipients=[people.viewer], text="Look here.", url="/registry/", title="Grüße")
    job = Job.objects.get()
    run(job.pk)
    job.refresh_from_db()
    assert (job.state, job.result) == (JobState.SUCCEEDED, {"sent": 1, "failed": 0})
    delivery = sent(message)
    assert (delivery.state, delivery.attempts, delivery.last_error) == (DeliveryState.SENT, 1, "")
    mail = mail_server.mails[0]
    assert mail_server.recipients == ["viewer@example.org"]
    assert mail["Message-ID"] == f"<{delivery.token}@models.example>"
    assert "http://127.0.0.1:8000/registry/" in mail.get_payload()
    assert "http://127.0.0.1:8000/notifications/preferences/" in mail.get_payload()
    deliver(delivery.message_id)
    assert len(mail_server.mails) == 1


def test_a_mail_server_that_says_later_is_asked_later(
    tell: Tell, people: Any, mail_server: SMTPReceiver
) -> None:
    mail_server.answer = "451 Try again later"
    message = tell(recipients=[people.viewer])
    job = Job.objects.get()
    run(job.pk)
    job.refresh_from_db()
    assert job.state == JobState.WAITING
    assert job.run_after > timezone.now() + FIRST_PAUSE / 2
    assert "451" in sent(message).last_error
    deliver(sent(message).message_id)
    assert sent(message).attempts == 1, "not before its time"
    mail_server.answer = ""
    later(message)
    assert sent(message).state == DeliveryState.SENT
    assert len(mail_server.mails) == 1


def test_a_refused_recipient_ends_it(tell: Tell, people: Any, mail_server: SMTPReceiver) -> None:
    mail_server.answer = "550 No such user"
    message = tell(recipients=[people.viewer])
    later(message, 0)
    assert sent(message).state == DeliveryState.FAILED
    assert "550: No such user" in sent(message).last_error


def test_no_mail_after_the_account_was_closed(
    tell: Tell, people: Any, mail_server: SMTPReceiver
) -> None:
    message = tell(recipients=[people.viewer])
    people.viewer.is_active = False
    people.viewer.save()
    later(message, 0)
    assert sent(message).state == DeliveryState.FAILED
    assert not mail_server.mails


def test_one_address_that_is_away_stops_no_other(
    tell: Tell, people: Any, mail_server: SMTPReceiver, receiver: HTTPReceiver
) -> None:
    hook(f"http://127.0.0.1:{free_port()}/")
    message = tell(recipients=[people.viewer])
    later(message, 0)
    assert message is not None
    states = dict(message.deliveries.values_list("channel", "state"))
    assert states == {"email": DeliveryState.SENT, "webhook": DeliveryState.QUEUED}
    assert "did not answer" in message.deliveries.get(channel="webhook").last_error


def test_the_path_of_an_address_is_logged_nowhere(tell: Tell, caplog: Any) -> None:
    hook(f"http://127.0.0.1:{free_port()}/services/T0/secret")
    message = tell()
    later(message, 0)
    assert sent(message).state == DeliveryState.FAILED, "loopback is not allowed here"
    assert "secret" not in caplog.text + sent(message).last_error + sent(message).recipient


def test_a_call_is_signed_over_id_time_and_body(tell: Tell, receiver: HTTPReceiver) -> None:
    webhook = hook(receiver)
    message = tell(title="Zażółć", scope="model:churn")
    later(message, 0)
    call = receiver.calls[0]
    token, stamp = call.headers["X-E2I-Delivery-Id"], call.headers["X-E2I-Timestamp"]
    content = f"{token}.{stamp}.".encode() + call.body
    made = hmac.new(webhook.secret.encode(), content, hashlib.sha256).digest()
    assert call.headers["X-E2I-Signature"] == f"v1,{base64.b64encode(made).decode()}"
    body = json.loads(call.body)
    assert (body["id"], body["title"], body["scope"]) == (token, "Zażółć", "model:churn")
    assert body["id"] == str(sent(message).token)


def test_mlflows_own_code_verifies_our_signature() -> None:
    """The same scheme: whoever receives MLflow's webhooks can check ours."""
    from mlflow.webhooks.delivery import _generate_hmac_signature

    assert sign("s", "id", "17", '{"a":1}') == _generate_hmac_signature("s", "id", "17", '{"a":1}')


def test_another_salt_is_another_secret(receiver: HTTPReceiver) -> None:
    webhook = hook(receiver)
    other = hook(receiver, salt=webhook.salt)
    assert len({webhook.secret, other.secret}) == 2
    before, webhook.salt = webhook.secret, "other"
    assert webhook.secret != before


def test_slack_gets_text_that_mentions_nobody(tell: Tell, receiver: HTTPReceiver) -> None:
    hook(receiver, kind=WebhookKind.SLACK)
    later(tell(title="v3 <!channel> & more", text="<http://evil|x>", url="/registry/"), 0)
    text = json.loads(receiver.calls[0].body)["text"]
    assert "*v3 &lt;!channel&gt; &amp; more*\n&lt;http://evil|x&gt;" in text
    assert text.endswith("<http://127.0.0.1:8000/registry/|Open in E2I>")
    assert "X-E2I-Signature" not in receiver.calls[0].headers


@pytest.mark.parametrize(
    ("status", "state"),
    [(200, "sent"), (302, "failed"), (404, "failed"), (429, "queued"), (503, "queued")],
)
def test_what_answers_mean(status: int, state: str, tell: Tell, receiver: HTTPReceiver) -> None:
    hook(receiver)
    receiver.status = status
    message = tell()
    later(message, 0)
    assert sent(message).state == state
    assert (str(status) in sent(message).last_error) == (state != "sent")


def test_a_redirect_is_not_followed(tell: Tell, receiver: HTTPReceiver) -> None:
    hook(receiver)
    with http_receiver() as inside:
        receiver.status, receiver.location = 307, inside.url
        message = tell()
        later(message, 0)
        assert not inside.calls
    assert "redirects are not followed" in sent(message).last_error


def test_it_gives_up_in_the_end(tell: Tell, receiver: HTTPReceiver) -> None:
    hook(receiver)
    receiver.status = 503
    message = tell()
    for attempt in range(carrying.MOST_ATTEMPTS + 3):
        later(message, attempt)
        Delivery.objects.filter(state="queued").update(next_attempt_at=timezone.now())
    assert (sent(message).state, sent(message).attempts) == ("failed", carrying.MOST_ATTEMPTS)
    assert len(receiver.calls) == carrying.MOST_ATTEMPTS
    assert len({call.headers["X-E2I-Delivery-Id"] for call in receiver.calls}) == 1


def test_two_workers_send_it_once(tell: Tell, receiver: HTTPReceiver) -> None:
    hook(receiver)
    message = tell()
    first, second = sent(message), sent(message)
    now = timezone.now()
    assert carrying._claim(first, now)
    assert not carrying._claim(second, now)


def test_a_lost_job_is_asked_for_again_and_old_messages_go(
    tell: Tell, receiver: HTTPReceiver
) -> None:
    hook(receiver)
    message = tell()
    Job.objects.all().delete()
    assert ask_again() == 0, "it is not late yet"
    Delivery.objects.update(next_attempt_at=timezone.now() - timedelta(minutes=6))
    assert ask_again() == 1
    assert ask_again() == 1, "one job a message"
    assert Job.objects.count() == 1
    Message.objects.update(at=timezone.now() - KEEP - timedelta(days=1))
    assert forget() == 0, "a delivery still waits"
    later(message, 0)
    assert forget() == 2
    assert not Message.objects.exists()


@given(st.integers(0, 10_000))
def test_pauses_grow_and_are_bounded(attempts: int) -> None:
    assert FIRST_PAUSE <= pause_after(attempts) <= pause_after(attempts + 1) <= LONGEST_PAUSE


def test_what_is_sent_again_does_not_wait_for_the_pause_of_another(
    tell: Tell, people: Any, receiver: HTTPReceiver
) -> None:
    with http_receiver() as slow:
        first, _ = hook(receiver), hook(slow)
        receiver.status, slow.status = 404, 503
        message = tell(title="Version 3 approved")
        job = Job.objects.get()
        run(job.pk)
    failed = Delivery.objects.get(webhook=first)
    assert failed.state == DeliveryState.FAILED
    receiver.status = 204
    resend(delivery=failed, actor=people.administrator)
    assert Job.objects.due(timezone.now()).filter(pk=job.pk).exists()
    run(job.pk)
    failed.refresh_from_db()
    assert (message is not None, failed.state) == (True, DeliveryState.SENT)
