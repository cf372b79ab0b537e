"""manage.py verify_signatures: does every signed decision still say what was signed?"""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from registry.signature import verified


class Command(BaseCommand):
    help = "Verify the electronic signature of every decision. Exit status 1 when one is wrong."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="print one JSON document")

    def handle(self, *args: Any, **options: Any) -> None:
        count, unsigned = 0, 0
        wrong: list[dict[str, Any]] = []
        for review, found in verified():
            count += 1
            unsigned += not review.signature_hash
            if found and review.signature_hash:
                label = f"Review {review.pk} of promotion {review.promotion_id}"
                wrong.append({"review": review.pk, "label": label, "problems": found})
        if options["json"]:
            document = {"decisions": count, "unsigned": unsigned, "wrong": wrong}
            self.stdout.write(json.dumps(document))
        else:
            for each in wrong:
                self.stdout.write(f"{each['label']}: {' '.join(each['problems'])}")
            self.stdout.write(
                f"{count} decisions: {count - unsigned - len(wrong)} signatures verify, "
                f"{len(wrong)} do not, {unsigned} were made without one."
            )
        if wrong:
            raise SystemExit(1)
