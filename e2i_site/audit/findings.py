"""The life of a finding: open, still open, resolved, open again."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.db.models import Q

from e2i_site.audit import registry, tell
from e2i_site.audit.choices import FindingStatus, Outcome, Priority, WaiverEnd
from e2i_site.audit.models import AuditRun, Finding, Waiver
from e2i_site.audit.models.finding import fingerprint
from e2i_site.audit.registry import Check, SubjectOutcome

BATCH = 500
# Characters that PostgreSQL stores in no text, or UTF-8 has none for; MLflow keeps them.
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_CHANGING = [
    "title",
    "subject_label",
    "subject_url",
    "priority",
    "message",
    "remediation",
    "evidence",
    "status",
    "last_seen",
    "opened_at",
    "resolved_at",
    "waived_until",
    "occurrences",
    "regressions",
    "last_run",
]

Found = dict[tuple[str, str], Finding]


def update(
    run: AuditRun,
    check: Check,
    outcomes: Iterable[SubjectOutcome],
    *,
    conclusive: bool,
    now: datetime,
) -> Found:
    """Carry a check's outcomes into its findings, inside the caller's transaction.

    A failing subject opens its finding, keeps it open or brings it back. A passing one resolves
    it. A subject that is gone resolves it only when the check saw everything (`conclusive`).
    People are told of urgent ones that open.
    Returns the finding of each failing subject by (kind, key).
    """
    known = {
        each.fingerprint: each
        for each in Finding.objects.select_for_update().filter(check_id=check.id)
    }
    found: Found = {}
    new: list[Finding] = []
    opened: list[Finding] = []
    seen_again: list[Finding] = []
    passed, unsure = set(), set()
    for outcome in outcomes:
        mark = fingerprint(check.id, outcome.subject.kind, outcome.subject.key)
        if outcome.outcome is Outcome.PASS:
            passed.add(mark)
        elif outcome.outcome is not Outcome.FAIL:
            unsure.add(mark)
        elif (finding := known.get(mark)) is None:
            finding = _new(run, check, outcome, mark, now)
            new.append(finding)
            opened.append(finding)
            found[outcome.subject.kind, outcome.subject.key] = finding
        else:
            before = (finding.status, finding.priority)
            _see_again(finding, run, check, outcome, now)
            seen_again.append(finding)
            if _is_worse(finding, *before):
                opened.append(finding)
            found[outcome.subject.kind, outcome.subject.key] = finding
    Finding.objects.bulk_create(new, batch_size=BATCH)
    Finding.objects.bulk_update(seen_again, _CHANGING, batch_size=BATCH)
    tell.opened(check, opened)
    failing = {each.fingerprint for each in found.values()}
    _resolve(
        [
            each
            for mark, each in known.items()
            if each.status != FindingStatus.RESOLVED
            and mark not in failing
            and (mark in passed or (conclusive and mark not in unsure))
        ],
        run,
        now,
    )
    return found


def resolve_orphans(run: AuditRun, now: datetime) -> None:
    """Resolve findings of checks that exist no longer; no run could ever do it."""
    existing = [check.id for check in registry.all_checks()]
    orphans = Finding.objects.exclude(check_id__in=existing)
    _resolve(list(orphans.exclude(status=FindingStatus.RESOLVED)), run, now)


def storable(outcome: SubjectOutcome) -> SubjectOutcome:
    """The outcome with texts that every database stores; its evidence is `plain`'s business."""
    subject = outcome.subject
    texts = (subject.kind, subject.key, subject.label, subject.url)
    if not _UNSTORABLE.search("".join((*texts, outcome.message))):
        return outcome
    return replace(
        outcome,
        subject=registry.Subject(*map(storable_text, texts)),
        message=storable_text(outcome.message),
    )


def storable_text(text: str) -> str:
    """The text with a mark in place of characters that no database stores."""
    return _UNSTORABLE.sub("\ufffd", text)


def plain(evidence: Mapping[str, Any]) -> dict[str, Any]:
    """Evidence as plain JSON; what JSON does not know becomes text, NaN too."""
    text = json.dumps(_finite(evidence), cls=_Encoder)
    return dict(json.loads(text))


class _Encoder(DjangoJSONEncoder):
    def default(self, o: Any) -> Any:
        try:
            return super().default(o)
        except TypeError:
            return storable_text(str(o))


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {storable_text(str(key)): _finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_finite(each) for each in value]
    if isinstance(value, str):
        return storable_text(value)
    if isinstance(value, float) and value - value != 0:
        return str(value)
    return value


def _new(run: AuditRun, check: Check, outcome: SubjectOutcome, mark: str, now: datetime) -> Finding:
    finding = Finding(
        fingerprint=mark,
        check_id=check.id,
        phase=check.phase,
        item=check.item,
        subject_kind=outcome.subject.kind,
        subject_key=outcome.subject.key,
        first_seen=now,
        opened_at=now,
        first_run=run,
    )
    _describe(finding, run, check, outcome, now)
    return finding


def _see_again(
    finding: Finding, run: AuditRun, check: Check, outcome: SubjectOutcome, now: datetime
) -> None:
    finding.occurrences += 1
    if finding.status == FindingStatus.RESOLVED:
        finding.status, finding.resolved_at = FindingStatus.OPEN, None
        finding.opened_at = now
        finding.regressions += 1
    elif finding.status == FindingStatus.WAIVED:
        _reopen_when_the_waiver_no_longer_holds(finding, outcome, now)
    _describe(finding, run, check, outcome, now)


def _is_worse(finding: Finding, status: str, priority: str) -> bool:
    """Whether it is open and was not, or was less urgent."""
    is_open = finding.status == FindingStatus.OPEN
    return is_open and (status != FindingStatus.OPEN or finding.priority < priority)


def _reopen_when_the_waiver_no_longer_holds(
    finding: Finding, outcome: SubjectOutcome, now: datetime
) -> None:
    waiver = finding.waivers.filter(ended_at__isnull=True).first()
    expired = finding.waived_until is None or finding.waived_until <= now
    escalated = waiver is not None and (outcome.priority or "") < waiver.priority
    if waiver and not (expired or escalated):
        return
    finding.status, finding.waived_until = FindingStatus.OPEN, None
    cause = WaiverEnd.EXPIRED if expired else WaiverEnd.ESCALATED
    _end_waivers(Q(finding=finding), cause, now)


def _describe(
    finding: Finding, run: AuditRun, check: Check, outcome: SubjectOutcome, now: datetime
) -> None:
    finding.title = check.title
    finding.subject_label = outcome.subject.label[:300]
    finding.subject_url = outcome.subject.url
    finding.priority = outcome.priority or Priority(check.priority)
    finding.message = outcome.message
    finding.remediation = check.remediation
    finding.evidence = plain(outcome.evidence)
    finding.last_seen = now
    finding.last_run = run


def _resolve(resolved: list[Finding], run: AuditRun, now: datetime) -> None:
    for finding in resolved:
        finding.status, finding.resolved_at = FindingStatus.RESOLVED, now
        finding.waived_until, finding.last_run = None, run
    Finding.objects.bulk_update(
        resolved, ["status", "resolved_at", "waived_until", "last_run"], batch_size=BATCH
    )
    _end_waivers(Q(finding__in=[each.pk for each in resolved]), WaiverEnd.RESOLVED, now)


def _end_waivers(which: Q, cause: WaiverEnd, now: datetime) -> None:
    Waiver.objects.filter(which, ended_at__isnull=True).update(ended_at=now, ended_because=cause)
