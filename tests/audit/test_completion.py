"""Phase 6 on real rows: the real trail, the real findings, the real schema."""

from __future__ import annotations

import pytest
from django.db import connection, transaction

from e2i_site.audit import registry, runner
from e2i_site.audit.audit_checks import completion
from e2i_site.audit.models import CheckResult, Finding
from e2i_site.audit.trail_events import RUN_STARTED
from e2i_site.trail.models import TrailEntry, TrailHead
from e2i_site.trail.record import record
from tests.factories.people import UserFactory

pytestmark = pytest.mark.django_db


def outcome(check_id: str) -> CheckResult:
    runner.execute(runner.prepare(check_id=check_id))
    return CheckResult.objects.filter(check_id=check_id).latest("id")


def write_entries(number: int) -> None:
    user = UserFactory()
    with transaction.atomic():
        for _ in range(number):
            record(RUN_STARTED, actor=user, subject=user)


def test_an_empty_trail_is_nothing_to_look_at():
    assert outcome("6.1").outcome == "not_applicable"


def test_an_intact_trail_passes():
    write_entries(3)
    result = outcome("6.1")
    assert result.outcome == "pass"
    assert result.outcomes.get().evidence["entries"] == 3


def test_a_trail_whose_end_was_cut_off_is_p0():
    write_entries(2)
    TrailHead.objects.update(length=3)
    assert outcome("6.1").outcome == "fail"
    assert Finding.objects.get().priority == "P0"


def test_a_trail_whose_head_was_removed_is_p0():
    write_entries(2)
    TrailHead.objects.all().delete()
    assert outcome("6.1").outcome == "fail"


def test_entries_behind_the_recorded_end_are_p0():
    write_entries(3)
    first = TrailEntry.objects.get(pk=1)
    TrailHead.objects.update(length=1, hash=first.hash)
    assert outcome("6.1").outcome == "fail"


def test_the_report_renders():
    assert outcome("6.3").outcome == "pass"


def test_the_schema_of_the_real_api_is_whole():
    result = outcome("6.2").outcomes.get()
    assert (result.outcome, result.evidence["complaints"]) == ("pass", [])
    assert result.evidence["paths"] > 20


def test_the_schema_check_says_what_the_generator_cannot_explain(settings):
    settings.ROOT_URLCONF = "tests.audit.unexplained_urls"
    result = outcome("6.2").outcomes.get()
    assert (result.outcome, result.priority) == ("fail", "P2")
    assert "unable to guess serializer" in result.evidence["complaints"][0]


def test_an_open_p0_fails_the_plan(only_checks):
    from e2i_site.audit.choices import Priority

    only_checks("4.2", lambda context: [context.failed("churn v2", "Moved.")], Priority.P0)
    only_checks("6.4", completion.nothing_unsafe)
    runner.execute(runner.prepare())
    assert outcome("6.4").outcome == "fail"


def test_a_p0_check_without_an_answer_leaves_the_plan_inconclusive(only_checks):
    from e2i_site.audit.choices import Priority

    only_checks("4.2", lambda context: [context.passed("churn v2")], Priority.P0)
    only_checks("6.4", completion.nothing_unsafe)
    assert outcome("6.4").outcome == "inconclusive"
    runner.execute(runner.prepare())
    assert outcome("6.4").outcome == "pass"


def test_the_real_registry_has_a_check_for_every_item_of_phase_6():
    items = {each.item for each in registry.select(phase=6)}
    assert items == {"6.1", "6.2", "6.3", "6.4"}
    assert connection.vendor in ("sqlite", "postgresql")
