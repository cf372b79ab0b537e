from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from e2i_site.audit import runner
from e2i_site.audit.actions.start_audit import start_audit
from e2i_site.audit.actions.waive import revoke_waiver, waive
from e2i_site.audit.choices import Priority, RunStatus
from e2i_site.audit.models import AuditRun, Finding
from e2i_site.core.errors import Refused
from e2i_site.jobs import runner as jobs
from e2i_site.jobs.actions.cancel import cancel
from e2i_site.jobs.enqueue import enqueue
from e2i_site.jobs.models import Job
from e2i_site.trail.models import TrailEntry
from tests.factories.people import UserFactory

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("role", ["reviewer", "approver", "deployer", "auditor", "administrator"])
def test_an_audit_is_started_and_its_job_runs_it(only_checks, role):
    only_checks("2.1", lambda context: [context.passed("a")])
    user = UserFactory(roles=[role])
    run = start_audit(actor=user)
    assert run.status == RunStatus.WAITING
    entry = TrailEntry.objects.get(event__startswith="audit.")
    assert (entry.event, entry.actor_id, entry.new) == (
        "audit.run.started",
        user.pk,
        {"scope": "all checks"},
    )
    jobs.run(run.job_id)
    run.refresh_from_db()
    assert run.status == RunStatus.FINISHED
    assert Job.objects.get().result["audit_run"] == run.pk


@pytest.mark.parametrize("roles", [[], ["viewer"], ["requester"]])
def test_others_cannot_start_one(only_checks, roles):
    only_checks("2.1", lambda context: ())
    with pytest.raises(Refused, match="needs the role"):
        start_audit(actor=UserFactory(roles=roles))
    assert not AuditRun.objects.exists()
    assert not Job.objects.exists()


def test_one_audit_at_a_time(only_checks):
    only_checks("2.1", lambda context: ())
    start_audit(actor=UserFactory(roles=["auditor"]))
    with pytest.raises(Refused, match="still going on"):
        start_audit(actor=UserFactory(roles=["auditor"]))


def test_the_schedule_leaves_an_audit_of_everything_to_whom_is_at_it(only_checks):
    only_checks("2.1", lambda context: [context.passed("a")])
    asked = start_audit(actor=UserFactory(roles=["auditor"]))
    scheduled = enqueue("audit.run", key="every:audit.run")
    jobs.run(scheduled.pk)
    scheduled.refresh_from_db()
    assert (scheduled.state, scheduled.result["left_to"]) == ("succeeded", asked.pk)
    assert AuditRun.objects.get() == asked
    jobs.run(asked.job_id)
    jobs.run(enqueue("audit.run", key="every:audit.run").pk)
    assert AuditRun.objects.finished().count() == 2


def test_a_run_left_by_a_dead_process_does_not_block(only_checks):
    only_checks("2.1", lambda context: ())
    left = runner.prepare()
    AuditRun.objects.update(beat_at=timezone.now() - timedelta(hours=1))
    start_audit(actor=UserFactory(roles=["auditor"]))
    left.refresh_from_db()
    assert left.status == RunStatus.ABANDONED


def test_a_cancelled_audit_says_so(only_checks):
    only_checks("2.1", lambda context: ())
    run = start_audit(actor=UserFactory(roles=["auditor"]))
    Job.objects.update(cancel_requested=True)
    claimed = jobs.claim(run.job_id)
    assert claimed is not None
    jobs.execute(*claimed)
    assert Job.objects.get().state == "cancelled"


def test_an_audit_cancelled_before_it_began_blocks_no_other(only_checks):
    only_checks("2.1", lambda context: ())
    auditor = UserFactory(roles=["auditor"])
    first = start_audit(actor=auditor)
    cancel(job=first.job, actor=auditor)
    second = start_audit(actor=auditor)
    first.refresh_from_db()
    assert (first.status, second.status) == (RunStatus.ABANDONED, RunStatus.WAITING)


@pytest.fixture
def finding(only_checks):
    only_checks("4.1", lambda context: [context.failed("churn v1", "No description.")])
    runner.execute(runner.prepare())
    return Finding.objects.get()


def _waive(finding, actor, **changes):
    wanted = {
        "owner": actor,
        "reason": "Will be described this week.",
        "expires_at": timezone.now() + timedelta(days=3),
        **changes,
    }
    return waive(finding=finding, actor=actor, **wanted)


def test_a_waiver_is_recorded_with_its_reason(finding):
    auditor, owner = UserFactory(roles=["auditor"]), UserFactory(roles=["requester"])
    waiver = _waive(finding, auditor, owner=owner)
    finding.refresh_from_db()
    assert finding.status == "waived"
    assert finding.waived_until == waiver.expires_at
    entry = TrailEntry.objects.get(event="audit.finding.waived")
    assert (entry.actor_name, entry.reason) == (auditor.username, "Will be described this week.")
    assert entry.new["owner"] == owner.username


@pytest.mark.parametrize("roles", [[], ["viewer"], ["requester"], ["reviewer"], ["approver"]])
def test_others_cannot_waive(finding, roles):
    with pytest.raises(Refused, match="auditor or administrator"):
        _waive(finding, UserFactory(roles=roles))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"reason": "  short  "}, "at least 10 characters"),
        ({"expires_at": timezone.now() - timedelta(1)}, "in the future"),
        ({"expires_at": timezone.now() + timedelta(91)}, "at most 90 days"),
    ],
)
def test_a_waiver_needs_a_reason_and_an_end(finding, change, words):
    with pytest.raises(Refused, match=words):
        _waive(finding, UserFactory(roles=["auditor"]), **change)
    assert not TrailEntry.objects.filter(event__startswith="audit.").exists()


def test_an_account_that_was_closed_cannot_own_a_waiver(finding):
    with pytest.raises(Refused, match="not active"):
        _waive(finding, UserFactory(roles=["auditor"]), owner=UserFactory(is_active=False))


def test_a_p0_is_waived_only_by_an_administrator_and_briefly(finding):
    Finding.objects.update(priority=Priority.P0)
    with pytest.raises(Refused, match="administrator"):
        _waive(finding, UserFactory(roles=["auditor"]))
    administrator = UserFactory(roles=["administrator"])
    with pytest.raises(Refused, match="at most 7 days"):
        _waive(finding, administrator, expires_at=timezone.now() + timedelta(days=8))
    assert _waive(finding, administrator)


def test_a_finding_has_one_waiver_at_a_time_and_it_can_be_revoked(finding):
    auditor = UserFactory(roles=["auditor"])
    _waive(finding, auditor)
    with pytest.raises(Refused, match="waived already"):
        _waive(finding, auditor)
    revoke_waiver(finding=finding, actor=auditor, reason="It was mended wrongly.")
    finding.refresh_from_db()
    assert finding.status == "open"
    assert finding.waivers.get().ended_because == "revoked"
    assert TrailEntry.objects.filter(event="audit.waiver.revoked").exists()
    with pytest.raises(Refused, match="no waiver in force"):
        revoke_waiver(finding=finding, actor=auditor, reason="again")
