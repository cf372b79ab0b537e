"""manage.py request_promotion: ask for a promotion, as a CI job would."""

from __future__ import annotations

import getpass
import json
import os
import sys
from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError, CommandParser

from e2i_site.core.errors import E2IError
from registry.actions.request_promotion import request_promotion
from registry.choices import Stage
from registry.models import Promotion, RegistryEntry


class Command(BaseCommand):
    help = "Request that a version moves to a stage. Exit status 1 when the request is refused."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("model")
        parser.add_argument("version", type=int)
        parser.add_argument("stage", choices=Stage.values)
        parser.add_argument("--reason", required=True, help="why it should move")
        parser.add_argument(
            "--user",
            default=os.environ.get("E2I_USER") or getpass.getuser(),
            help="the account that asks; else E2I_USER, else the name of the system's user",
        )
        parser.add_argument("--json", action="store_true", help="print one JSON document")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            promotion = request_promotion(
                entry=_entry(options["model"], options["version"]),
                to_stage=options["stage"],
                reason=options["reason"],
                requester=_user(options["user"]),
            )
        except E2IError as error:
            self.stderr.write(str(error))
            sys.exit(1)
        self._report(promotion, options["json"])

    def _report(self, promotion: Promotion, as_json: bool) -> None:
        gates = [
            {"id": gate.gate_id, "outcome": gate.outcome, "summary": gate.summary}
            for gate in promotion.gates.all()
        ]
        if as_json:
            document = {"promotion": promotion.pk, "gates": gates, "state": promotion.state}
            self.stdout.write(json.dumps(document))
            return
        self.stdout.write(f"Promotion {promotion.pk}: {promotion}, {promotion.state}")
        for gate in gates:
            self.stdout.write(f"  {gate['outcome']:12} {gate['id']}: {gate['summary']}")


def _entry(model: str, version: int) -> RegistryEntry:
    entry = RegistryEntry.objects.filter(model__name=model, model_version=version).first()
    if entry is None:
        raise CommandError(
            f"{model} v{version} is not known here; run sync_mlflow first.", returncode=2
        )
    return entry


def _user(name: str) -> User:
    user = User.objects.filter(username=name, is_active=True).first()
    if user is None:
        raise CommandError(
            f"No active account is called {name!r}; name one with --user or E2I_USER.", returncode=2
        )
    return user
