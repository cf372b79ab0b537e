"""The audit report in the form of the plan: everything in it is computed from stored outcomes."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.util import find_spec
from typing import Any

from django.template.loader import render_to_string
from django.utils import timezone

from e2i_site.audit import plan, registry, report_markdown, state
from e2i_site.audit.choices import FindingStatus, Outcome, Priority
from e2i_site.audit.models import AuditRun, Finding, SubjectResult
from e2i_site.audit.plan import Agent, Aspect
from e2i_site.audit.state import ItemState, PhaseState
from e2i_site.core.decision import ALLOWED, Decision, refuse
from e2i_site.core.errors import ConfigurationError, InvalidInput

TITLE = "MLflow implementation audit"
RESOLVED_SHOWN = 50


@dataclass(frozen=True)
class AgentRow:
    """One line of the final state table; `status` is "verified" only when all of it passed."""

    agent: str
    mlflow: str
    database: str
    status: str
    outcome: str


@dataclass(frozen=True)
class FindingRow:
    """One line of the remediation summary."""

    priority: str
    agent: str
    check: str
    title: str
    subject: str
    message: str
    remediation: str
    status: str
    since: datetime
    evidence: dict[str, Any]


@dataclass(frozen=True)
class Report:
    """All a rendering needs. `run` is None when it joins the latest result of every check."""

    made_at: datetime
    run: AuditRun | None
    last_run: AuditRun | None
    phases: list[PhaseState]
    findings: list[FindingRow]
    resolved: list[FindingRow]
    title: str = TITLE

    @property
    def audited_at(self) -> datetime | None:
        """When the run that it shows, or the last one, ended."""
        shown = self.run or self.last_run
        return shown.finished_at if shown else None

    @property
    def open_findings(self) -> list[FindingRow]:
        return [each for each in self.findings if each.status == FindingStatus.OPEN]

    @property
    def outcomes(self) -> Counter[str]:
        return outcomes(self.phases)

    @property
    def subjects(self) -> int:
        return sum(each.subjects for each in self.phases)

    @property
    def by_priority(self) -> dict[str, int]:
        counted = Counter(each.priority for each in self.open_findings)
        return {priority: counted[priority] for priority in Priority.values}

    @property
    def is_clean(self) -> bool:
        """Everything that could be looked at passed, and nothing is open."""
        return is_clean(self.phases, self.by_priority)

    @property
    def verdict(self) -> str:
        """The first sentence of the executive summary."""
        return verdict(self.phases, self.by_priority)

    @property
    def summary(self) -> str:
        """The second sentence: how much was looked at."""
        live = sum(len(phase.live) for phase in self.phases)
        total = sum(len(phase.items) for phase in self.phases)
        return (
            f"{self.outcomes[Outcome.PASS]} of {live} automated items passed over "
            f"{_count(self.subjects, 'outcome')}; {self.outcomes[Outcome.NOT_APPLICABLE]} had "
            f"nothing to look at. {total - live} of the plan's {total} items are not live checks."
        )

    @property
    def agents(self) -> list[AgentRow]:
        return [self._agent(agent) for agent in plan.AGENTS]

    def _agent(self, agent: Agent) -> AgentRow:
        phase = next(each for each in self.phases if each.phase.agent is agent)
        found = [each for each in self.open_findings if each.agent == agent]
        if found:
            worst = min(each.priority for each in found)
            status = f"{_count(len(found), 'open finding')}, worst {worst}"
        else:
            status = phase.label.lower() if phase.status != Outcome.PASS else "verified"
        return AgentRow(
            agent,
            _aspect(phase.aspect(Aspect.MLFLOW)),
            _aspect(phase.aspect(Aspect.DATABASE)),
            status,
            phase.status,
        )

    def as_dict(self) -> dict[str, Any]:
        """The JSON document."""
        return {
            "title": self.title,
            "made_at": self.made_at.isoformat(),
            "run": self.run.pk if self.run else None,
            "last_run": self.last_run.pk if self.last_run else None,
            "clean": self.is_clean,
            "verdict": self.verdict,
            "summary": self.summary,
            "final_state": [vars(each) for each in self.agents],
            "phases": [_phase_dict(each) for each in self.phases],
            "remediation": [_finding_dict(each) for each in self.findings],
            "resolved": [_finding_dict(each) for each in self.resolved],
            "open_findings": self.by_priority,
        }


def outcomes(phases: Iterable[PhaseState]) -> Counter[str]:
    """How many live items of the plan have which outcome."""
    return Counter(item.status for phase in phases for item in phase.live)


def is_clean(phases: Sequence[PhaseState], open_findings: Mapping[str, int]) -> bool:
    """Something was looked at, all of it passed, and nothing is open."""
    counted = outcomes(phases)
    others = set(counted) - {Outcome.PASS, Outcome.NOT_APPLICABLE}
    return bool(counted[Outcome.PASS]) and not others and not any(open_findings.values())


def verdict(phases: Sequence[PhaseState], open_findings: Mapping[str, int]) -> str:
    """One sentence: is the audit clean, and if not, why not."""
    counted = outcomes(phases)
    if not any(phase.subjects for phase in phases) and not counted[Outcome.ERROR]:
        return "Nothing has been established yet: no check has looked at anything."
    if is_clean(phases, open_findings):
        return "Clean: every check that had something to look at passed."
    problems = []
    if total := sum(open_findings.values()):
        counts = ", ".join(f"{n} {priority}" for priority, n in open_findings.items() if n)
        problems.append(f"{_count(total, 'open finding')} ({counts})")
    elif counted[Outcome.FAIL]:
        problems.append(f"{_count(counted[Outcome.FAIL], 'item')} failing under a waiver")
    words = {
        Outcome.ERROR: "in error",
        Outcome.INCONCLUSIVE: "inconclusive",
        state.NEVER_RAN: "never run",
    }
    problems += [
        f"{_count(counted[status], 'item')} {word}"
        for status, word in words.items()
        if counted[status]
    ]
    return f"Not clean: {', '.join(problems)}."


def build(run: AuditRun | None = None) -> Report:
    """The report of one run, or of the latest result of every check."""
    now = timezone.now()
    last = AuditRun.objects.finished().first()
    if run is not None:
        return Report(now, run, last, state.of_run(run), _failures(run), [])
    unresolved = Finding.objects.exclude(status=FindingStatus.RESOLVED)
    findings = [_row(each, each.status_at(now)) for each in unresolved]
    # What nobody could waive stays in every report.
    grave = [check.id for check in registry.all_checks() if not check.waivable]
    resolved = Finding.objects.resolved().order_by("-resolved_at")
    recent = resolved.exclude(check_id__in=grave)[:RESOLVED_SHOWN]
    shown = [*resolved.filter(check_id__in=grave), *recent]
    rows = [_row(each, FindingStatus.RESOLVED) for each in shown]
    return Report(now, None, last, state.latest(), findings, rows)


def to_json(report: Report) -> str:
    return json.dumps(report.as_dict(), indent=2, ensure_ascii=False) + "\n"


def to_html(report: Report) -> str:
    """One self-contained page, to keep or to send."""
    return render_to_string("audit/report_document.html", {"report": report})


_NO_PDF = (
    "PDF needs WeasyPrint and the pango library, which are not installed here. "
    "Print HTML, or install them."
)


def can_make(format: str) -> Decision:
    """Whether a report can be made in this format here."""
    return refuse(_NO_PDF) if format == "pdf" and find_spec("weasyprint") is None else ALLOWED


def to_pdf(report: Report) -> bytes:
    """The same page as PDF. ConfigurationError when WeasyPrint or its libraries are missing."""
    try:
        from weasyprint import HTML  # type: ignore[import-not-found,unused-ignore]
    except (ImportError, OSError) as error:
        raise ConfigurationError(f"{_NO_PDF} ({error})") from None
    return bytes(HTML(string=to_html(report)).write_pdf())


FORMATS: dict[str, tuple[str, Callable[[Report], str | bytes]]] = {
    "md": ("text/markdown; charset=utf-8", report_markdown.render),
    "html": ("text/html; charset=utf-8", to_html),
    "json": ("application/json", to_json),
    "pdf": ("application/pdf", to_pdf),
}


def render(report: Report, format: str) -> bytes:
    """The report as bytes. InvalidInput for an unknown format."""
    if format not in FORMATS:
        raise InvalidInput(f"{format!r} is not a format; take one of {', '.join(FORMATS)}.")
    content = FORMATS[format][1](report)
    return content if isinstance(content, bytes) else content.encode()


def _row(finding: Finding, status: str) -> FindingRow:
    return FindingRow(
        finding.priority,
        plan.phase(finding.phase).agent,
        finding.check_id,
        finding.title,
        finding.subject_label,
        finding.message,
        finding.remediation,
        status,
        finding.opened_at,
        finding.evidence,
    )


def _failures(run: AuditRun) -> list[FindingRow]:
    failures = (
        SubjectResult.objects.filter(result__run=run, outcome=Outcome.FAIL)
        .select_related("result", "finding")
        .prefetch_related("finding__waivers")
        .order_by("priority", "id")
    )
    return [
        FindingRow(
            each.priority or "",
            plan.phase(each.result.phase).agent,
            each.result.check_id,
            each.result.title,
            each.subject_label,
            each.message,
            each.result.remediation,
            _status_then(each),
            each.result.at,
            each.evidence,
        )
        for each in failures
    ]


def _status_then(failure: SubjectResult) -> FindingStatus:
    """Whether somebody had waived it when the run saw it."""
    waivers = failure.finding.waivers.all() if failure.finding else ()
    waived = any(each.covers(failure.result.at) for each in waivers)
    return FindingStatus.WAIVED if waived else FindingStatus.OPEN


def _aspect(items: list[ItemState]) -> str:
    """ "5 of 6 items passed, 1 never ran"; "not automated" when no check answers for it."""
    if not items:
        return "not automated"
    counted = Counter(each.status for each in items)
    parts = [f"{counted.pop(Outcome.PASS.value, 0)} of {len(items)} items passed"]
    parts += [f"{n} {state.LABELS[status].lower()}" for status, n in counted.items()]
    return ", ".join(parts)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _finding_dict(row: FindingRow) -> dict[str, Any]:
    return {**vars(row), "since": row.since.isoformat()}


def _phase_dict(phase: PhaseState) -> dict[str, Any]:
    return {
        "phase": phase.phase.number,
        "title": phase.phase.title,
        "agent": phase.phase.agent,
        "status": phase.status,
        "passed": phase.passed,
        "subjects": phase.subjects,
        "first_at": phase.first_at.isoformat() if phase.first_at else None,
        "last_at": phase.last_at.isoformat() if phase.last_at else None,
        "items": [
            {
                "id": each.item.id,
                "title": each.item.title,
                "status": each.status,
                "by_tests": each.item.by_tests or None,
                "checks": [
                    {"id": check.id, "outcome": check.status, "summary": check.summary}
                    for check in each.checks
                ],
            }
            for each in phase.items
        ],
    }
