"""Who is told, and what is written when nobody has to be."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import transaction

from e2i_site.core.roles import Role
from e2i_site.jobs.models import Job
from e2i_site.notifications.models import (
    Channel,
    ChannelChoice,
    Delivery,
    InboxItem,
    Message,
    Watch,
    Webhook,
    Why,
)
from e2i_site.notifications.notify import LONGEST_TEXT, notify
from tests.notifications.conftest import GRAVE, PERSONAL, TOLD

pytestmark = pytest.mark.django_db
Tell = Callable[..., Message | None]


def told(message: Message | None) -> dict[str, str]:
    return dict(InboxItem.objects.filter(message=message).values_list("user__username", "why"))


def test_those_it_concerns_and_those_who_watch_are_told_once(tell: Tell, people: Any) -> None:
    for user in (people.auditor, people.viewer, people.approver):
        Watch.objects.create(user=user, scope="model:churn")
    message = tell(
        recipients=[people.requester],
        audience=[Role.APPROVER],
        scope="model:churn",
        actor=people.auditor,
    )
    assert told(message) == {
        "requester": Why.CONCERNS,
        "approver": Why.CONCERNS,
        "viewer": Why.WATCH,
    }
    assert message is not None
    assert message.actor_name == "auditor"


def test_a_watch_is_of_its_scope_only(tell: Tell, people: Any) -> None:
    Watch.objects.create(user=people.viewer, scope="model:churn")
    assert tell(scope="model:visits") is None
    assert tell() is None
    assert not Message.objects.exists()


def test_who_lost_the_account_or_the_role_is_not_told(tell: Tell, people: Any) -> None:
    people.approver.is_active = False
    people.approver.save()
    people.reviewer.groups.clear()
    who = [people.approver, people.reviewer, people.outsider, people.viewer]
    assert set(told(tell(recipients=who))) == {"viewer"}


def test_what_a_person_does_not_want_does_not_come(tell: Tell, people: Any) -> None:
    for event in (TOLD, GRAVE):
        ChannelChoice.objects.create(
            user=people.viewer, event=event, channel=Channel.INBOX, wanted=False
        )
    assert tell(recipients=[people.viewer]) is None
    assert set(told(tell(GRAVE, recipients=[people.viewer]))) == {"viewer"}


def test_a_key_makes_it_once(tell: Tell, people: Any) -> None:
    first = tell(recipients=[people.viewer], key="reminder:1:2026-11-26")
    assert first is not None
    assert tell(recipients=[people.viewer], key="reminder:1:2026-11-26") is None
    assert InboxItem.objects.count() == 1


def test_mails_are_queued_only_with_a_mail_server(tell: Tell, people: Any, settings: Any) -> None:
    tell(recipients=[people.viewer])
    assert not Delivery.objects.exists()
    assert not Job.objects.exists()
    settings.EMAIL_CONFIGURED = True
    people.auditor.email = ""
    people.auditor.save()
    ChannelChoice.objects.create(
        user=people.deployer, event=TOLD, channel=Channel.EMAIL, wanted=False
    )
    message = tell(recipients=[people.viewer, people.auditor, people.deployer])
    assert message is not None
    assert [d.recipient for d in message.deliveries.all()] == ["viewer@example.org"]
    assert Job.objects.get().payload == {"message": str(message.pk)}


def test_webhooks_get_what_they_ask_for(tell: Tell, people: Any) -> None:
    def hook(name: str, **fields: Any) -> None:
        Webhook.objects.create(name=name, url="https://hooks.example/secret/path", **fields)

    hook("all")
    hook("churn", scope="model:churn")
    hook("visits", scope="model:visits")
    hook("grave only", events=[GRAVE])
    hook("hers", owner=people.viewer)
    hook("not told", owner=people.auditor)
    message = tell(recipients=[people.viewer], scope="model:churn")
    assert message is not None
    names = {d.webhook.name for d in message.deliveries.all() if d.webhook}
    assert names == {"all", "churn", "hers"}
    assert not any("secret" in d.recipient for d in message.deliveries.all())
    assert Job.objects.count() == 1


def test_what_is_personal_is_told_to_nobody_else(tell: Tell, people: Any) -> None:
    Watch.objects.create(user=people.auditor, scope="model:churn")
    Webhook.objects.create(name="all", url="https://hooks.example/")
    Webhook.objects.create(name="hers", url="https://hooks.example/", owner=people.viewer)
    assert tell(PERSONAL, scope="model:churn") is None
    message = tell(PERSONAL, recipients=[people.viewer], scope="model:churn")
    assert set(told(message)) == {"viewer"}
    assert message is not None
    assert [each.webhook.name for each in message.deliveries.all() if each.webhook] == ["hers"]


def test_what_is_refused(people: Any, tell: Tell) -> None:
    with pytest.raises(ValueError, match="not registered"):
        tell("tests.unknown")


@pytest.mark.django_db(transaction=True)
def test_it_shares_a_transaction_with_what_it_tells(people: Any, tell: Tell) -> None:
    with pytest.raises(RuntimeError, match="share a transaction"):
        notify(TOLD, subject=people.viewer, actor=None, title="x", recipients=[people.viewer])
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        tell(recipients=[people.viewer])
        1 / 0  # noqa: B018
    assert not Message.objects.exists()


def test_titles_are_one_line_and_texts_bounded(tell: Tell, people: Any) -> None:
    message = tell(recipients=[people.viewer], title="a\r\nBcc: x@example.org", text="t" * 9000)
    assert message is not None
    assert message.title == "a Bcc: x@example.org"
    assert len(message.text) == LONGEST_TEXT


def test_the_number_of_queries_does_not_grow_with_people(
    tell: Tell, people: Any, django_assert_max_num_queries: Any, settings: Any
) -> None:
    settings.EMAIL_CONFIGURED = True
    with django_assert_max_num_queries(14):
        tell(audience=Role.values)
    assert Delivery.objects.count() == 7
