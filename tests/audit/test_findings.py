"""The life of a finding, against a small model of what it should be."""

from __future__ import annotations

from datetime import timedelta
from unittest.mock import patch

import pytest
from django.utils import timezone
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from e2i_site.audit import registry, runner
from e2i_site.audit.actions.waive import waive
from e2i_site.audit.choices import Priority
from e2i_site.audit.models import Finding
from tests.factories.people import UserFactory

SUBJECTS = ("a", "b", "c")
ANSWERS = st.sampled_from(["pass", "fail", "inconclusive", "absent"])
ROUND = st.tuples(st.tuples(ANSWERS, ANSWERS, ANSWERS), st.booleans())


def play(answers, crash):
    """Run one check that gives these answers, then crashes if asked to."""

    def body(context):
        for subject, answer in zip(SUBJECTS, answers, strict=True):
            if answer == "pass":
                yield context.passed(subject)
            elif answer == "fail":
                yield context.failed(subject, "Wrong.")
            elif answer == "inconclusive":
                yield context.inconclusive(subject, "Cannot say.")
        if crash:
            raise RuntimeError("crashed")

    check = registry.Check("2.1", 2, "2.1", "Title", "Mend it.", Priority.P1, body)
    with patch.object(registry, "_checks", {"2.1": check}):
        return runner.execute(runner.prepare())


class Expected:
    """What one subject's finding should be after a number of rounds."""

    def __init__(self):
        self.status, self.occurrences, self.regressions = None, 0, 0

    def see(self, answer, saw_everything):
        if answer == "fail":
            self.regressions += self.status == "resolved"
            self.status = "open"
            self.occurrences += 1
        elif self.status == "open" and (
            answer == "pass" or (answer == "absent" and saw_everything)
        ):
            self.status = "resolved"

    def __eq__(self, finding):
        if finding is None:
            return self.status is None
        return (self.status, self.occurrences, self.regressions) == (
            finding.status,
            finding.occurrences,
            finding.regressions,
        )


class Lifecycle(TestCase):
    @settings(max_examples=40, deadline=None)
    @given(st.lists(ROUND, min_size=1, max_size=6))
    def test_only_what_a_check_saw_changes_a_finding(self, rounds):
        expected = {subject: Expected() for subject in SUBJECTS}
        for answers, crash in rounds:
            play(answers, crash)
            saw_everything = not crash and "inconclusive" not in answers
            for subject, answer in zip(SUBJECTS, answers, strict=True):
                expected[subject].see(answer, saw_everything)
        found = {each.subject_key: each for each in Finding.objects.all()}
        for subject in SUBJECTS:
            assert expected[subject] == found.get(subject)


FAIL, PASS = ("fail", "absent", "absent"), ("pass", "absent", "absent")


@pytest.mark.django_db
def test_age_counts_from_the_present_spell():
    play(FAIL, False)
    first = Finding.objects.get()
    play(PASS, False)
    assert Finding.objects.get().resolved_at is not None
    play(FAIL, False)
    again = Finding.objects.get()
    assert again.pk == first.pk
    assert again.first_seen == first.first_seen < again.opened_at
    assert again.resolved_at is None
    assert again.is_regressed


@pytest.fixture
def waived(db):
    play(FAIL, False)
    auditor = UserFactory(roles=["auditor"])
    waive(
        finding=Finding.objects.get(),
        actor=auditor,
        owner=auditor,
        reason="The old run is being moved.",
        expires_at=timezone.now() + timedelta(days=3),
    )
    return Finding.objects.get()


def test_a_waiver_holds_while_the_finding_fails(waived):
    play(FAIL, False)
    waived.refresh_from_db()
    assert (waived.status, waived.occurrences) == ("waived", 2)
    assert not Finding.objects.open(timezone.now()).exists()


def test_a_waiver_that_ran_out_leaves_the_finding_open_at_once(waived):
    later = timezone.now() + timedelta(days=4)
    assert Finding.objects.open(later).get() == waived
    assert waived.status_at(later) == "open"
    with patch("django.utils.timezone.now", return_value=later):
        play(FAIL, False)
    waived.refresh_from_db()
    assert (waived.status, waived.waivers.get().ended_because) == ("open", "expired")


def test_a_waiver_ends_when_the_finding_is_resolved_and_does_not_come_back(waived):
    play(PASS, False)
    assert waived.waivers.get().ended_because == "resolved"
    play(FAIL, False)
    waived.refresh_from_db()
    assert waived.status == "open"


def test_a_waiver_does_not_cover_something_more_urgent(waived):
    def body(context):
        yield context.failed("a", "Worse now.", priority=Priority.P0)

    check = registry.Check("2.1", 2, "2.1", "Title", "Mend it.", Priority.P1, body)
    with patch.object(registry, "_checks", {"2.1": check}):
        runner.execute(runner.prepare())
    waived.refresh_from_db()
    assert (waived.status, waived.priority) == ("open", "P0")
    assert waived.waivers.get().ended_because == "escalated"
