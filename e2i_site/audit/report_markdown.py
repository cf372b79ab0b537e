"""The report as Markdown, in the form of the plan it came from."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from django.utils import timezone

from e2i_site.audit import state
from e2i_site.audit.choices import FindingStatus, Outcome

if TYPE_CHECKING:
    from e2i_site.audit.report import FindingRow, Report
    from e2i_site.audit.state import ItemState, PhaseState

MARKS = {
    Outcome.PASS: "✅",
    Outcome.FAIL: "❌",
    Outcome.ERROR: "⚠️",
    Outcome.INCONCLUSIVE: "❔",
    Outcome.NOT_APPLICABLE: "➖",
    state.NEVER_RAN: "⏳",
    state.NOT_AUTOMATED: "✋",
    state.BY_TESTS: "🧪",
}
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|])")


def render(report: Report) -> str:
    """The whole document. Text that came from outside is escaped."""
    sections = [
        _head(report),
        _executive_summary(report),
        *(_phase(each) for each in report.phases),
        _remediation(report),
        _progress(report),
    ]
    return "\n\n---\n\n".join(sections) + "\n"


def escape(text: object) -> str:
    """`text` on one line, with no meaning to Markdown."""
    return _SPECIAL.sub(r"\\\1", " ".join(str(text).split()))


def _head(report: Report) -> str:
    scope = f"run {report.run.pk}, {report.run.scope}" if report.run else "latest of every check"
    status = "✅ CLEAN" if report.is_clean else "❌ NOT CLEAN"
    finished = _time(report.audited_at) if report.audited_at else "never"
    return "\n".join(
        (
            f"# {report.title}",
            "## Experiment tracking and model registry",
            "",
            "**Audit scope**: `model_trainer`, `model_selector`, `model_deployer`",
            f"**Results**: {scope}",
            f"**Created**: {_time(report.made_at)}",
            f"**Last audit finished**: {finished}",
            f"**Status**: {status}",
        )
    )


def _executive_summary(report: Report) -> str:
    agents = _table(
        ("Agent", "MLflow integration", "Database sync", "Status"),
        (
            (f"`{each.agent}`", each.mlflow, each.database, f"{MARKS[each.outcome]} {each.status}")
            for each in report.agents
        ),
    )
    phases = _table(
        ("Phase", "Outcomes", "Status"),
        (
            (
                f"Phase {each.phase.number}: {each.phase.title}",
                f"{each.passed} of {each.subjects} passed",
                f"{MARKS[each.status]} {each.label}",
            )
            for each in report.phases
        ),
    )
    return (
        f"## Executive summary\n\n{escape(report.verdict)} {escape(report.summary)}\n\n"
        f"### Final implementation state\n\n{agents}\n\n### Results summary\n\n{phases}"
    )


def _phase(phase: PhaseState) -> str:
    head = (
        f"## Phase {phase.phase.number}: {phase.phase.title} "
        f"{MARKS[phase.status]} {phase.label.upper()}\n"
        f"**Items**: {len(phase.items)} | **Automated**: {len(phase.live)} | "
        f"**Result**: {phase.passed} of {phase.subjects} outcomes passed"
    )
    return "\n\n".join((head, "### Checklist", *(_item(each) for each in phase.items)))


def _item(item: ItemState) -> str:
    box = "x" if item.is_done else " "
    lines = [f"- [{box}] **{item.item.id}** {escape(item.item.title)}"]
    if item.item.by_tests and not item.is_live:
        lines.append(
            f"  - {MARKS[state.BY_TESTS]} Covered by the test suite (`{item.item.by_tests}`); "
            "no live check"
        )
    elif not item.is_live:
        lines.append(f"  - {MARKS[state.NOT_AUTOMATED]} Not automated")
    for check in item.checks:
        when = f" ({_time(check.result.at)})" if check.result else ""
        lines.append(
            f"  - {MARKS[check.status]} {check.id} {escape(check.title)}: "
            f"{escape(check.summary)}{when}"
        )
    return "\n".join(lines)


def _remediation(report: Report) -> str:
    parts = ["## Remediation summary"]
    if report.findings:
        parts.append(_findings(report.findings))
    else:
        parts.append("Nothing is open.")
    if report.resolved:
        parts += ["### Resolved", _findings(report.resolved)]
    return "\n\n".join(parts)


def _findings(findings: Sequence[FindingRow]) -> str:
    return _table(
        ("Priority", "Agent", "Check", "Subject", "Issue", "Status", "Remediation"),
        (
            (
                each.priority,
                f"`{each.agent}`",
                each.check,
                escape(each.subject),
                escape(each.message),
                _status(each),
                escape(each.remediation),
            )
            for each in findings
        ),
    )


def _status(finding: FindingRow) -> str:
    mark = MARKS[Outcome.PASS] if finding.status == FindingStatus.RESOLVED else MARKS[Outcome.FAIL]
    label = FindingStatus(finding.status).label.upper()
    return f"{mark} {label} since {_time(finding.since)}"


def _progress(report: Report) -> str:
    table = _table(
        ("Phase", "Status", "Items done", "Oldest result", "Latest result"),
        (
            (
                f"Phase {each.phase.number}: {each.phase.title}",
                f"{MARKS[each.status]} {each.label}",
                f"{each.done} of {len(each.live)}",
                _time(each.first_at),
                _time(each.last_at),
            )
            for each in report.phases
        ),
    )
    return f"## Progress\n\n{table}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _time(at: datetime | None) -> str:
    return (
        at.astimezone(timezone.get_current_timezone()).strftime("%Y-%m-%d %H:%M %Z") if at else "–"
    )
