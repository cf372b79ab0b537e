from __future__ import annotations

import math
from datetime import timedelta

import pytest
from django.db import IntegrityError, connection
from django.utils import timezone

from e2i_site.audit import runner
from e2i_site.audit.choices import Outcome, Priority, RunStatus
from e2i_site.audit.models import AuditRun, CheckResult, Finding, SubjectResult
from e2i_site.audit.registry import Subject
from e2i_site.core.errors import InvalidInput
from e2i_site.mlflow_connector.errors import Unreachable
from tests.factories.training import TrainingRunFactory

pytestmark = pytest.mark.django_db


def run(**scope):
    return runner.execute(runner.prepare(**scope))


def result(check_id: str) -> CheckResult:
    return CheckResult.objects.filter(check_id=check_id).latest("id")


def test_every_outcome_is_a_row(only_checks):
    row = TrainingRunFactory()

    def body(context):
        yield context.passed(row, "All there.", evidence={"params": 3})
        yield context.failed("churn v2", "No run id.", evidence={"run": None})
        yield context.inconclusive("churn v3", "Its files are archived.")

    only_checks("2.1", body)
    done = run()
    stored = result("2.1")
    assert (stored.outcome, stored.subjects) == ("fail", 3)
    assert (stored.passed, stored.failed, stored.inconclusive) == (1, 1, 1)
    assert stored.seconds > 0
    passed, failed, unsure = stored.outcomes.all()
    assert (passed.subject_kind, passed.subject_key) == ("training.trainingrun", str(row.pk))
    assert (passed.outcome, passed.evidence, passed.priority) == ("pass", {"params": 3}, None)
    assert (failed.outcome, failed.priority, failed.finding.subject_label) == (
        "fail",
        "P1",
        "churn v2",
    )
    assert (unsure.outcome, unsure.finding) == ("inconclusive", None)
    assert done.status == RunStatus.FINISHED
    assert done.counts["checks"]["fail"] == 1
    assert done.counts["open_findings"] == {"P0": 0, "P1": 1, "P2": 0, "P3": 0, "P4": 0}


def test_a_crash_is_one_error_row_and_the_others_run(only_checks):
    def crashes(context):
        yield context.failed("a", "Wrong.")
        raise ZeroDivisionError("division by zero")

    only_checks("2.1", crashes)
    only_checks("2.2", lambda context: [context.passed("a")])
    run()
    crashed = result("2.1")
    assert crashed.outcome == Outcome.FAIL  # what it had found before the crash counts
    assert crashed.message == "The check crashed: ZeroDivisionError: division by zero"
    assert result("2.2").outcome == Outcome.PASS


def test_a_crash_alone_is_an_error(only_checks):
    def crashes(context):
        raise KeyError("gone")
        yield

    only_checks("2.1", crashes)
    run()
    assert (result("2.1").outcome, result("2.1").subjects) == ("error", 0)


def test_without_mlflow_a_check_is_inconclusive_with_the_reason(only_checks):
    def asks(context):
        yield context.passed("seen before")
        raise Unreachable("connection refused")

    only_checks("1.1", asks)
    run()
    assert result("1.1").outcome == Outcome.INCONCLUSIVE
    assert "connection refused" in result("1.1").message
    assert result("1.1").passed == 1


def test_nothing_to_look_at_is_not_applicable(only_checks):
    only_checks("4.6", lambda context: ())
    run()
    assert result("4.6").outcome == Outcome.NOT_APPLICABLE
    assert result("4.6").summary == "Nothing to look at yet."


def test_several_answers_about_a_subject_become_the_worst_one(only_checks):
    def body(context):
        yield context.passed("run")
        yield context.failed("run", "auc differs.", evidence={"auc": 1}, priority=Priority.P2)
        yield context.failed("run", "run id differs.", evidence={"id": 2}, priority=Priority.P0)

    only_checks("2.2", body)
    run()
    outcome = SubjectResult.objects.get()
    assert (outcome.priority, outcome.message) == ("P0", "auc differs. run id differs.")
    assert outcome.evidence == {"auc": 1, "id": 2}
    assert Finding.objects.get().priority == "P0"


def test_evidence_of_any_kind_is_stored_as_plain_json(only_checks):
    evidence = {"nan": math.nan, "inf": [math.inf], "set": {1}, "object": Subject, 3: None}

    only_checks("2.1", lambda context: [context.failed("a", "Odd.", evidence=evidence)])
    run()
    stored = Finding.objects.get().evidence
    assert (stored["nan"], stored["inf"], stored["set"], stored["3"]) == ("nan", ["inf"], [1], None)


def test_the_longest_address_and_what_no_database_stores_end_no_audit(only_checks):
    """Names of 256 characters make addresses of thousands; PostgreSQL stores no NUL."""
    model = Subject("mlflow.model", "a\x00b", "a\x00b", "/registry/models/" + "%E6%A8%A1" * 256)
    evidence = {"tags": {"k\x00": ["v\x00", "\ud800"]}}

    def odd(context):
        yield context.failed(model, "The tag says \x00 and \ud800.", evidence=evidence)

    only_checks("2.1", odd)
    only_checks("2.2", lambda context: [context.passed("b")])
    assert run().status == RunStatus.FINISHED
    found = Finding.objects.get()
    assert (found.subject_label, found.subject_url) == ("a\ufffdb", model.url)
    assert found.message == "The tag says \ufffd and \ufffd."
    assert found.evidence == {"tags": {"k\ufffd": ["v\ufffd", "\ufffd"]}}
    assert result("2.2").outcome == Outcome.PASS


def test_what_cannot_be_stored_is_an_error_of_its_check_alone(only_checks):
    endless = Subject("k" * 81 if connection.vendor == "postgresql" else "k", "a", "a")

    def odd(context):
        yield context.failed(endless, "Wrong.", priority="P9")

    only_checks("2.1", odd)
    only_checks("2.2", lambda context: [context.passed("b")])
    assert run().status == RunStatus.FINISHED
    assert (result("2.1").outcome, result("2.1").subjects) == ("error", 0)
    assert "could not be stored" in result("2.1").message
    assert result("2.2").outcome == Outcome.PASS


@pytest.mark.parametrize("scope", [{"phase": 9}, {"check_id": "9.9"}])
def test_a_run_without_checks_is_refused(only_checks, scope):
    only_checks("2.1", lambda context: ())
    with pytest.raises(InvalidInput, match=r"Known checks: 2\.1"):
        runner.prepare(**scope)
    assert not AuditRun.objects.exists()


def test_an_interrupted_run_goes_on_where_it_stopped(only_checks):
    calls = []
    for id in ("2.1", "2.2", "2.3"):
        only_checks(id, lambda context: calls.append(context.check.id) or ())

    def stop_before_the_third(title, done, total):
        if done == 2 and len(calls) == 2:
            raise ConnectionError("killed")

    started = runner.prepare()
    with pytest.raises(ConnectionError):
        runner.execute(started, stop_before_the_third)
    runner.execute(started)
    assert calls == ["2.1", "2.2", "2.3"]
    assert runner.execute(started).results.count() == 3


def test_the_database_refuses_a_pass_without_subjects(only_checks):
    only_checks("2.1", lambda context: ())
    run()
    with pytest.raises(IntegrityError):
        CheckResult.objects.update(outcome=Outcome.PASS)


def test_a_check_that_exists_no_longer_leaves_no_open_finding(only_checks, monkeypatch):
    only_checks("2.1", lambda context: [context.failed("a", "Wrong.")])
    only_checks("2.2", lambda context: ())
    run()
    from e2i_site.audit import registry

    monkeypatch.delitem(registry._checks, "2.1")
    run(check_id="2.2")
    assert Finding.objects.get().status == "open"  # a partial run says nothing about it
    run()
    assert Finding.objects.get().status == "resolved"


def test_old_passed_outcomes_go_and_failures_stay(only_checks):
    def body(context):
        yield context.passed("a")
        yield context.failed("b", "Wrong.")

    only_checks("2.1", body)
    old = run()
    AuditRun.objects.update(finished_at=timezone.now() - runner.KEEP_PASSED - timedelta(hours=1))
    run()
    assert [each.outcome for each in old.results.get().outcomes.all()] == ["fail"]
    assert old.results.get().passed == 1
