"""manage.py mlflow_webhooks: register and try MLflow's webhook, and say whether it works."""

from __future__ import annotations

import json
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from e2i_site.activity.actions.register_webhook import look_after_webhook, remove_webhook
from e2i_site.activity.models import WebhookState
from e2i_site.mlflow_connector import get_connector


class Command(BaseCommand):
    help = "Register and test the webhook by which MLflow tells E2I of changes. Exit 1: no."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--remove", action="store_true", help="take it out of MLflow instead, till asked again"
        )
        parser.add_argument("--json", action="store_true", help="print one JSON document")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["remove"]:
            remove_webhook(get_connector())
        else:
            look_after_webhook(get_connector(), test=True)
        state = WebhookState.objects.get(pk=1)  # with what arrived meanwhile
        if options["json"]:
            self.stdout.write(json.dumps(_document(state), default=str))
        else:
            self._print(state)
        if not (state.removed_at if options["remove"] else state.works):
            sys.exit(1)

    def _print(self, state: WebhookState) -> None:
        if state.removed_at:
            self.stdout.write(f"MLflow has no webhook to {state.url} any more.\n  {state.problem}")
            return
        words = "works" if state.works else "does not work"
        self.stdout.write(f"MLflow's webhook to {state.url} {words}.")
        if state.problem:
            self.stdout.write(f"  {state.problem}")
        self.stdout.write(f"  test        {state.test_detail or 'not made'}")
        self.stdout.write(f"  last        {state.verified_at or 'nothing has arrived yet'}")
        self.stdout.write(
            f"  deliveries  {state.verified} verified, {state.repeated} repeated, "
            f"{state.rejected} rejected {state.rejected_reason}".rstrip()
        )


def _document(state: WebhookState) -> dict[str, Any]:
    names = (
        "url", "works", "webhook_id", "removed_at", "problem", "checked_at", "tested_at",
        "test_passed", "test_detail", "verified", "repeated", "rejected", "verified_at",
        "rejected_at", "rejected_reason",
    )  # fmt: skip
    return {name: getattr(state, name) for name in names}
