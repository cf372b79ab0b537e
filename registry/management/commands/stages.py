"""manage.py stages: which version was in which stage at a moment, who allowed it, what served."""

from __future__ import annotations

import json
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.utils import timezone

from e2i_site.core.errors import InvalidInput
from e2i_site.core.moments import EXAMPLE, in_words, past_moment
from registry.api.stages import StagesSerializer
from registry.choices import ALIASED_STAGES
from registry.history import Place, Snapshot, stages_at
from registry.models import RegisteredModel


class Command(BaseCommand):
    help = (
        "Say which version was in which stage at a moment, who allowed it, and what served. "
        "Exit status 1 for an unknown model or what is no past moment."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("model", nargs="?", help="one model; without it, all")
        parser.add_argument(
            "--at", metavar="T", help=f"a moment up to now, such as {EXAMPLE}; else now"
        )
        parser.add_argument(
            "--json", action="store_true", help="print one JSON document, as the API answers"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        name = options["model"]
        try:
            moment = timezone.now() if options["at"] is None else past_moment(options["at"])
        except InvalidInput as error:
            self._fail(f"--at: {error}")
        if name is not None and not RegisteredModel.objects.filter(name=name).exists():
            self._fail(f"There is no model {name} here; /registry/ lists those that are known.")
        snapshot = stages_at(moment, name)
        if options["json"]:
            self.stdout.write(json.dumps(StagesSerializer(snapshot).data, indent=2))
            return
        self._print(snapshot, all_stages=name is not None)

    def _fail(self, message: str) -> None:
        self.stderr.write(message)
        sys.exit(1)

    def _print(self, snapshot: Snapshot, *, all_stages: bool) -> None:
        self.stdout.write(f"As of {in_words(snapshot.moment)}")
        shown = [p for p in snapshot.places if all_stages or p.stage in ALIASED_STAGES]
        for place in shown:
            self.stdout.write(_line(place))
        if not shown:
            self.stdout.write("No version was " + ("registered." if all_stages else "staged."))
        for each in snapshot.serving:
            self.stdout.write(
                f"served: {each.endpoint} ({each.environment}, {each.strategy}) by "
                f"{each.model} v{each.version} since {in_words(each.since)}"
            )


def _line(place: Place) -> str:
    change, evidence = place.change, place.evidence
    line = f"{place.entry}: {place.stage} since {in_words(change.at)}, {change.get_cause_display()}"
    if evidence is None:
        return line + (f" by {change.actor.get_username()}" if change.actor else "")
    promotion = evidence.promotion
    names = [each.signer_name or each.reviewer.get_username() for each in evidence.approvals]
    if promotion.past_gates:
        names.append(f"{promotion.break_glass.signer_name} past its gates")
    return (
        f"{line} {promotion.pk}, asked by {promotion.requester.get_username()}, "
        f"allowed by {', '.join(names) or 'nobody on record'}; {evidence.gates_in_words}; "
        f"policy {promotion.policy}"
    )
