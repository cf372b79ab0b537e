"""manage.py run_audit: exit status 1 when the answer at the asked level is no."""

from __future__ import annotations

import json
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from e2i_site.audit import registry, runner
from e2i_site.audit.choices import Outcome, Priority
from e2i_site.audit.models import AuditRun, CheckResult, Finding
from e2i_site.core.errors import InvalidInput

UNSURE = (Outcome.ERROR, Outcome.INCONCLUSIVE)


class Command(BaseCommand):
    help = (
        "Run the audit checks. With --fail-on, exit status 1 when a finding at or above the level "
        "is open, or when a check of that level could not give an answer."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--phase", type=int, help="only this phase of the plan, 1 to 6")
        parser.add_argument("--check", dest="check_id", help="only this check or item, like 4.2")
        parser.add_argument("--fail-on", choices=Priority.values, help="least urgent level")
        parser.add_argument("--json", action="store_true", help="print one JSON document")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            run = runner.prepare(phase=options["phase"], check_id=options["check_id"])
        except InvalidInput as error:
            raise CommandError(str(error), returncode=2) from None
        try:
            runner.execute(run, None if options["json"] else self._show_progress)
        except KeyboardInterrupt:
            runner.abandon(run)
            raise CommandError("Stopped; what was found so far is kept.") from None
        results = list(run.results.all())
        findings = self._findings(run)
        if options["json"]:
            self.stdout.write(json.dumps(_document(run, results, findings)))
        else:
            self._print(results, findings)
        if self._is_no(options["fail_on"], results, findings):
            sys.exit(1)

    def _show_progress(self, title: str, done: int, total: int) -> None:
        self.stderr.write(f"[{done + 1}/{total}] {title}")

    def _findings(self, run: AuditRun) -> list[Finding]:
        """What is open now, of the checks that ran."""
        checks = registry.select(phase=run.phase, check_id=run.check_id or None)
        findings = Finding.objects.open(timezone.now())
        return list(findings.filter(check_id__in=[each.id for each in checks]))

    def _print(self, results: list[CheckResult], findings: list[Finding]) -> None:
        for each in results:
            label = each.get_outcome_display()
            self.stdout.write(f"{each.check_id:5} {label:15} {each.title}: {each.summary}")
        for finding in findings:
            self.stdout.write(f"{finding.priority} {finding}: {finding.message}")
            self.stdout.write(f"   {finding.remediation}")
        self.stdout.write(f"{len(findings)} open findings.")

    def _is_no(
        self, level: str | None, results: list[CheckResult], findings: list[Finding]
    ) -> bool:
        if level is None:
            return False
        unsure = [r.check_id for r in results if r.outcome in UNSURE and r.priority <= level]
        if unsure:
            self.stderr.write(f"No answer from check {', '.join(unsure)}.")
        return bool(unsure) or any(finding.priority <= level for finding in findings)


def _document(run: AuditRun, results: list[CheckResult], findings: list[Finding]) -> dict[str, Any]:
    return {
        "run_id": run.pk,
        "scope": run.scope,
        "seconds": run.seconds,
        "checks": [
            {
                "id": each.check_id,
                "phase": each.phase,
                "title": each.title,
                "outcome": each.outcome,
                "subjects": each.subjects,
                "passed": each.passed,
                "failed": each.failed,
                "inconclusive": each.inconclusive,
                "message": each.message,
                "seconds": round(each.seconds, 4),
            }
            for each in results
        ],
        "findings": [finding.as_dict() for finding in findings],
        "counts": run.counts,
    }
