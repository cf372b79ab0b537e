"""manage.py demo: the whole lifecycle on real data; exit status 1 when a step fails."""

from __future__ import annotations

import json
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from e2i_site.demo import people
from e2i_site.demo.lifecycle import Demo, is_complete


class Command(BaseCommand):
    help = "Run the demo lifecycle on real data. What is there already is not done again."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="print one JSON document")
        parser.add_argument(
            "--status", action="store_true", help="only say whether the demo has been completed"
        )
        parser.add_argument("--logins", action="store_true", help="only print the demo logins")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["status"]:
            self._status(options["json"])
        elif options["logins"]:
            self.stdout.write("\n".join(people.logins()))
        else:
            self._run(options["json"])

    def _status(self, as_json: bool) -> None:
        complete = is_complete()
        text = "The demo has been completed." if complete else "The demo has not been completed."
        self.stdout.write(json.dumps({"complete": complete}) if as_json else text)
        if not complete:
            sys.exit(1)

    def _run(self, as_json: bool) -> None:
        progress = self.stderr if as_json else self.stdout
        demo = Demo(say=lambda line: progress.write(line, style_func=str))
        demo.run()
        if as_json:
            self.stdout.write(json.dumps(demo.as_dict(), default=str))
        elif demo.ok:
            self.stdout.write("\n".join(people.logins()))
        if not demo.ok:
            sys.exit(1)
