"""manage.py audit_report: the report in the form of the plan."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from e2i_site.audit import report
from e2i_site.audit.models import AuditRun
from e2i_site.core.errors import ConfigurationError


class Command(BaseCommand):
    help = "Write the audit report from the outcomes that are stored. It runs no check."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--format", choices=tuple(report.FORMATS), default="md")
        parser.add_argument("--output", type=Path, help="a file; standard output without it")
        parser.add_argument("--run", type=int, help="one audit run instead of the latest results")

    def handle(self, *args: Any, **options: Any) -> None:
        format, output = options["format"], options["output"]
        if format == "pdf" and output is None:
            raise CommandError("A PDF needs --output FILE.", returncode=2)
        try:
            content = report.render(report.build(self._run(options["run"])), format)
        except ConfigurationError as error:
            raise CommandError(str(error), returncode=2) from None
        if output is None:
            self.stdout.write(content.decode(), ending="")
        else:
            self._save(content, output)

    def _run(self, number: int | None) -> AuditRun | None:
        if number is None:
            return None
        run = AuditRun.objects.filter(pk=number).first()
        if run is None:
            raise CommandError(f"There is no audit run {number}.", returncode=2)
        return run

    def _save(self, content: bytes, output: Path) -> None:
        try:
            output.write_bytes(content)
        except OSError as error:
            raise CommandError(
                f"{output} cannot be written: {error.strerror}.", returncode=2
            ) from None
        self.stderr.write(f"Written to {output}.")
