"""manage.py verify_trail: exit status 1 when the record is broken."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from e2i_site.trail.record import verify


class Command(BaseCommand):
    help = "Verify the hash chain of the trail."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="print one JSON document")

    def handle(self, *args: Any, **options: Any) -> None:
        result = verify()
        if options["json"]:
            self.stdout.write(json.dumps(asdict(result)))
        else:
            self.stdout.write(result.message)
        if not result.ok:
            sys.exit(1)
