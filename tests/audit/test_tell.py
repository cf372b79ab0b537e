"""Who is told of findings, when, and how often."""

from __future__ import annotations

from typing import Any

import pytest

from e2i_site.audit import runner
from e2i_site.audit.choices import Priority
from e2i_site.audit.models import Finding
from e2i_site.notifications.models import InboxItem, Message

pytestmark = pytest.mark.django_db


def audit() -> list[str]:
    """Titles of what people are told by one more audit."""
    known = set(Message.objects.values_list("pk", flat=True))
    runner.execute(runner.prepare())
    return sorted(Message.objects.exclude(pk__in=known).values_list("title", flat=True))


def told(message: Message) -> set[str]:
    return set(InboxItem.objects.filter(message=message).values_list("user__username", flat=True))


def test_urgent_findings_are_told_once_a_spell(only_checks: Any, people: Any) -> None:
    answers: dict[str, Priority | None] = {"churn v1": Priority.P0, "churn v2": Priority.P2}

    def body(context: Any) -> Any:
        for name, priority in answers.items():
            if priority is None:
                yield context.passed(name)
            else:
                yield context.failed(name, "The alias is elsewhere.", priority=priority)

    only_checks("4.2", body)
    assert audit() == ["P0: 4.2 churn v1"]
    message = Message.objects.get()
    assert told(message) == {"auditor", "administrator", "deployer"}
    assert message.text == "churn v1: The alias is elsewhere.\n\nMend 4.2."
    assert message.url == Finding.objects.get(priority="P0").get_absolute_url()
    assert audit() == []
    answers["churn v2"] = Priority.P1  # more urgent than it was
    assert audit() == ["P1: 4.2 churn v2"]
    assert told(Message.objects.get(title="P1: 4.2 churn v2")) == {"auditor", "administrator"}
    answers["churn v1"] = answers["churn v2"] = None
    assert audit() == []
    answers.update({f"churn v{number}": Priority.P1 for number in range(1, 13)})
    assert audit() == ["P1: 12 findings of 4.2"]
    message = Message.objects.get(title="P1: 12 findings of 4.2")
    assert message.url == "/audit/findings/?check=4.2"
    assert "and 2 more." in message.text


def test_what_only_sums_up_tells_nobody(only_checks: Any, people: Any) -> None:
    only_checks("6.4", lambda context: [context.failed("plan", "P0 findings are open: 1.")])
    assert audit() == []
