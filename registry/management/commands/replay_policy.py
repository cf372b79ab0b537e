"""manage.py replay_policy FILE: which past decisions a proposed policy would change."""

from __future__ import annotations

import json
from argparse import ArgumentParser, ArgumentTypeError
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from registry.document.read import DocumentInvalid, read
from registry.replay.run import Replay, proposed_policy, replay


class Command(BaseCommand):
    help = (
        "Judge every past promotion of the models that a proposed policy would govern by that "
        "policy. It decides nothing and writes nothing. Exit status 0: done; 1: the file is wrong; "
        "2: wrong usage."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--json", action="store_true", help="print one JSON document")
        parser.add_argument(
            "--since", type=_day, metavar="DATE", help="only what was decided since, as 2026-01-31"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            document = read(options["file"].read_text(encoding="utf-8"))
        except DocumentInvalid as error:
            where = options["file"]
            lines = [f"{where}:{p.line}:{p.column}: {p.message}" for p in error.problems]
            raise CommandError("\n".join(lines)) from None
        except (OSError, UnicodeDecodeError) as error:
            raise CommandError(f"{options['file']} cannot be read: {error}", returncode=2) from None
        found = replay(proposed_policy(document), options["since"])
        if options["json"]:
            self.stdout.write(json.dumps(found.to_json()))
        else:
            self._report(found)

    def _report(self, found: Replay) -> None:
        self.stdout.write(f"{found.total} past promotions of {found.models} models")
        for result, count in found.counts.items():
            self.stdout.write(f"  {count:6} {result.words}")
        for each in found.differing:
            self.stdout.write(f"#{each.past.pk} {each.past.label}: {each.judgement.result.words}")
            for reason in each.judgement.reasons:
                self.stdout.write(f"    {reason.rule}: {reason.sentence}")
        if found.left_out:
            self.stdout.write(f"{found.left_out} older ones that differ are not listed.")


def _day(text: str) -> datetime:
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        raise ArgumentTypeError(f"{text} is no date as 2026-01-31.") from None
