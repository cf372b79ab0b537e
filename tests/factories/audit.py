"""Audits, what their checks said, findings and waivers."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import factory
from django.utils import timezone

from e2i_site.audit.choices import Outcome, Priority, RunStatus
from e2i_site.audit.models import AuditRun, CheckResult, Finding, Waiver
from e2i_site.audit.models.finding import fingerprint
from tests.factories.people import UserFactory


class AuditRunFactory(factory.django.DjangoModelFactory[AuditRun]):
    """A finished audit of everything."""

    class Meta:
        model = AuditRun

    status = RunStatus.FINISHED
    started_by = factory.SubFactory(UserFactory, roles=["auditor"])
    started_at = factory.LazyFunction(lambda: timezone.now() - timedelta(minutes=2))
    finished_at = factory.LazyFunction(lambda: timezone.now() - timedelta(minutes=1))
    beat_at = factory.SelfAttribute("finished_at")
    counts: dict[str, Any] = {"checks": {"fail": 1}, "open_findings": {"P2": 1}}


class CheckResultFactory(factory.django.DjangoModelFactory[CheckResult]):
    """A check that failed on one subject."""

    class Meta:
        model = CheckResult

    run = factory.SubFactory(AuditRunFactory)
    check_id = "4.1"
    phase = 4
    item = "4.1"
    title = "Registered versions carry their metadata"
    remediation = "Describe the version."
    priority = Priority.P2
    outcome = Outcome.FAIL
    subjects = 1
    failed = 1
    seconds = 0.02
    at = factory.SelfAttribute("run.finished_at")


class FindingFactory(factory.django.DjangoModelFactory[Finding]):
    """An open finding, seen once."""

    class Meta:
        model = Finding

    check_id = "4.1"
    phase = 4
    item = "4.1"
    title = "Registered versions carry their metadata"
    subject_kind = "registry.registryentry"
    subject_key = factory.Sequence(lambda n: str(n + 1))
    subject_label = factory.LazyAttribute(lambda o: f"churn v{o.subject_key}")
    fingerprint = factory.LazyAttribute(
        lambda o: fingerprint(o.check_id, o.subject_kind, o.subject_key)
    )
    priority = Priority.P2
    message = "It has no description."
    remediation = "Describe the version."
    evidence: dict[str, Any] = {"description": ""}
    first_seen = factory.LazyFunction(lambda: timezone.now() - timedelta(minutes=1))
    opened_at = last_seen = factory.SelfAttribute("first_seen")
    first_run = factory.SubFactory(AuditRunFactory)
    last_run = factory.SelfAttribute("first_run")


class WaiverFactory(factory.django.DjangoModelFactory[Waiver]):
    """A waiver that was revoked; `waive` makes one that is in force."""

    class Meta:
        model = Waiver

    finding = factory.SubFactory(FindingFactory)
    owner = factory.SubFactory(UserFactory, roles=["auditor"])
    granted_by = factory.SelfAttribute("owner")
    priority = factory.SelfAttribute("finding.priority")
    reason = "It is described next week."
    expires_at = factory.LazyFunction(lambda: timezone.now() + timedelta(days=3))
    ended_at = factory.LazyFunction(timezone.now)
    ended_because = "revoked"
