"""What the audit pages gather."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count

from e2i_site.audit.choices import FindingStatus, Priority, RunStatus
from e2i_site.audit.models import AuditRun, CheckResult, Finding, SubjectResult
from e2i_site.core.charts import LineChart, Series
from e2i_site.trail.models import TrailEntry

RECENT_RUNS = 60
MANY = 500
RUNNING = (RunStatus.WAITING, RunStatus.RUNNING)


def recent_runs(limit: int = RECENT_RUNS) -> list[AuditRun]:
    """The latest runs with who started them and their jobs, newest first; 1 query."""
    return list(AuditRun.objects.select_related("started_by", "job")[:limit])


def going_on(runs: Sequence[AuditRun], now: datetime) -> AuditRun | None:
    """The newest run that has not ended and shows signs of life."""
    return next((each for each in runs if each.status in RUNNING and not each.is_silent(now)), None)


@dataclass(frozen=True)
class FindingGroup:
    """Open findings of one check; `priority` is that of the most urgent one."""

    check_id: str
    title: str
    remediation: str
    priority: str
    findings: list[Finding]


@dataclass(frozen=True)
class Standing:
    """What is not resolved: {priority: open findings}, how many are waived, the first groups."""

    counts: dict[str, int]
    waived: int
    groups: list[FindingGroup]

    @property
    def open_total(self) -> int:
        return sum(self.counts.values())


def standing(now: datetime, *, groups: int = 6) -> Standing:
    """Findings that stand, the most urgent first; 1 query, 2 when there are very many."""
    unresolved = Finding.objects.exclude(status=FindingStatus.RESOLVED).defer("evidence")
    rows = list(unresolved.order_by("priority", "opened_at")[:MANY])
    open_rows = [each for each in rows if each.status_at(now) == FindingStatus.OPEN]
    if len(rows) < MANY:
        counted = Counter(each.priority for each in open_rows)
        counts = {priority: counted[priority] for priority in Priority.values}
        waived = len(rows) - len(open_rows)
    else:
        counts, waived = _count(now)
    found: dict[str, FindingGroup] = {}
    for each in open_rows:
        group = found.setdefault(
            each.check_id,
            FindingGroup(each.check_id, each.title, each.remediation, each.priority, []),
        )
        group.findings.append(each)
    return Standing(counts, waived, list(found.values())[:groups])


def _count(now: datetime) -> tuple[dict[str, int], int]:
    is_open = Finding.objects.open(now).order_by().values_list("priority")
    counts = dict.fromkeys(Priority.values, 0) | dict(is_open.annotate(number=Count("id")))
    return counts, Finding.objects.waived(now).count()


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
        note="at the end of each full audit",
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
