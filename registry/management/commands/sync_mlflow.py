"""manage.py sync_mlflow: mirror MLflow now."""

from __future__ import annotations

import json
import sys
import time
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from e2i_site.core.errors import E2IError
from registry.sync import KINDS, SyncBusy, SyncReport, sync


class Command(BaseCommand):
    help = "Mirror MLflow's experiments, runs and registry. Exit status 1 when it did not succeed."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--full", action="store_true", help="read every run again")
        parser.add_argument("--json", action="store_true", help="print one JSON document")
        parser.add_argument(
            "--wait",
            type=float,
            default=120,
            metavar="SECONDS",
            help="how long to wait for a sync that is under way (default 120)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            report = _sync(full=options["full"], seconds=options["wait"])
        except E2IError as error:
            self.stderr.write(f"MLflow was not mirrored: {error}")
            sys.exit(1)
        if options["json"]:
            self.stdout.write(json.dumps(report.as_dict()))
        else:
            self._print(report)

    def _print(self, report: SyncReport) -> None:
        data = report.as_dict()
        self.stdout.write(
            f"MLflow mirrored ({report.mode}) in {report.seconds:.1f} s, "
            f"{report.requests} requests, runs from {report.source.upper()}."
        )
        for kind in KINDS:
            counts = ", ".join(f"{number} {what}" for what, number in data[kind].items())
            self.stdout.write(f"  {kind:13} {counts}")
        for line in (*report.notes, *report.problems):
            self.stdout.write(f"  {line}")


def _sync(*, full: bool, seconds: float) -> SyncReport:
    """Sync; a sync that is under way is waited for."""
    end = time.monotonic() + seconds
    while True:
        try:
            return sync(full=full)
        except SyncBusy:
            if time.monotonic() >= end:
                raise
            time.sleep(0.5)
