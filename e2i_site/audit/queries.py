"""What the audit pages gather."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Case, Count, Value, When

from e2i_site.audit.choices import FindingStatus, Priority, RunStatus
from e2i_site.audit.models import AuditRun, CheckResult, Finding, SubjectResult
from e2i_site.core.charts import LineChart, Series
from e2i_site.trail.models import TrailEntry

RECENT_RUNS = 60
RUNNING = (RunStatus.WAITING, RunStatus.RUNNING)


def recent_runs(limit: int = RECENT_RUNS) -> list[AuditRun]:
    """The latest runs with who started them and their jobs, newest first; 1 query."""
    return list(AuditRun.objects.select_related("started_by", "job")[:limit])


def going_on(runs: Sequence[AuditRun], now: datetime) -> AuditRun | None:
    """The newest run that has not ended and shows signs of life."""
    return next((each for each in runs if each.status in RUNNING and not each.is_silent(now)), None)


def counts_by_priority(now: datetime) -> tuple[dict[str, int], int]:
    """({priority: open findings}, waived findings); 1 query."""
    standing = Case(
        When(status=FindingStatus.OPEN, then=Value("open")),
        When(waived_until__lte=now, then=Value("open")),
        default=Value("waived"),
    )
    rows = (
        Finding.objects.exclude(status=FindingStatus.RESOLVED)
        .order_by()
        .annotate(standing=standing)
        .values_list("standing", "priority")
        .annotate(number=Count("id"))
    )
    counts = dict.fromkeys(Priority.values, 0)
    waived = 0
    for name, priority, number in rows:
        if name == "open":
            counts[priority] += number
        else:
            waived += number
    return counts, waived


@dataclass(frozen=True)
class FindingGroup:
    """Open findings of one check; `priority` is that of the most urgent one."""

    check_id: str
    title: str
    remediation: str
    priority: str
    findings: list[Finding]


def most_urgent(now: datetime, *, read: int = 200, groups: int = 6) -> list[FindingGroup]:
    """The most urgent open findings, grouped by check, the oldest first in each; 1 query."""
    found: dict[str, FindingGroup] = {}
    for each in Finding.objects.open(now).order_by("priority", "opened_at")[:read]:
        group = found.setdefault(
            each.check_id,
            FindingGroup(each.check_id, each.title, each.remediation, each.priority, []),
        )
        group.findings.append(each)
    return list(found.values())[:groups]


def trend(runs: Sequence[AuditRun]) -> LineChart:
    """Open findings by priority at the end of each full audit, oldest first."""
    ended = [
        each
        for each in reversed(runs)
        if each.status == RunStatus.FINISHED and each.is_full and each.finished_at
    ]
    seen = [p for p in Priority.values if any(each.open_findings(p) for each in ended)]
    return LineChart(
        title="Open findings",
        x=[each.finished_at for each in ended if each.finished_at],
        series=[
            Series(priority, [each.open_findings(priority) for each in ended])
            for priority in seen or [Priority.P0.value]
        ],
        step=True,
        low=True,
        note=f"after each of the last {len(ended)} full audits",
        name="audit-trend",
    )


def results_of(run: AuditRun) -> list[CheckResult]:
    """The run's checks in the order of the plan; 1 query."""
    return list(run.results.all())


def occurrences(finding: Finding, limit: int = 20) -> list[SubjectResult]:
    """When the finding was seen, newest first; 1 query."""
    return list(finding.occurrences_seen.select_related("result__run").order_by("-id")[:limit])


def trail_of(finding: Finding) -> list[TrailEntry]:
    """Waivers of the finding, newest first; 1 query."""
    return list(
        TrailEntry.objects.filter(
            subject_type=finding._meta.label_lower, subject_id=str(finding.pk)
        )[:50]
    )
