"""manage.py request_promotion: ask for a promotion, as a CI job would, and wait for what comes."""

from __future__ import annotations

import json
import sys
import time
from argparse import ArgumentTypeError
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from e2i_site.core.errors import E2IError
from registry.actions.request_promotion import request_promotion
from registry.choices import OPEN_PROMOTION, PromotionState, Stage
from registry.management import operator
from registry.models import Promotion, RegistryEntry

POLL_SECONDS = 1.0
LONGEST_WAIT = 7 * 24 * 3600.0


class Command(BaseCommand):
    help = (
        "Request that a version moves to a stage. Exit status 0: asked, or with --wait in effect; "
        "1: refused, or with --wait not in effect in time; 2: wrong usage."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("model")
        parser.add_argument("version", type=int)
        parser.add_argument("stage", choices=Stage.values)
        parser.add_argument("--reason", required=True, help="why it should move")
        operator.add_user(parser, "asks")
        parser.add_argument(
            "--wait",
            type=_seconds,
            nargs="?",
            const=3600.0,
            metavar="SECONDS",
            help="wait until it is decided, in effect and carried to MLflow (default 3600)",
        )
        parser.add_argument("--json", action="store_true", help="print one JSON document")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            promotion = request_promotion(
                entry=_entry(options["model"], options["version"]),
                to_stage=options["stage"],
                reason=options["reason"],
                requester=operator.user(options["user"]),
            )
        except E2IError as error:
            self.stderr.write(str(error))
            sys.exit(1)
        if options["wait"] is not None:
            self._wait(promotion, options["wait"])
        self._report(promotion, options["json"])
        if options["wait"] is not None and not _is_done(promotion):
            self.stderr.write(_why_not(promotion))
            sys.exit(1)

    def _wait(self, promotion: Promotion, seconds: float) -> None:
        """Follow the promotion, with each change on standard error."""
        end = time.monotonic() + seconds
        told = ""
        while True:
            promotion.refresh_from_db()
            news = _progress(promotion)
            if news != told:
                self.stderr.write(news)
                told = news
            remaining = end - time.monotonic()
            if _is_over(promotion) or remaining <= 0:
                return
            time.sleep(min(POLL_SECONDS, remaining))

    def _report(self, promotion: Promotion, as_json: bool) -> None:
        gates = [
            {"id": gate.gate_id, "outcome": gate.outcome, "summary": gate.summary}
            for gate in promotion.gates.all()
        ]
        if as_json:
            document = {
                "promotion": promotion.pk,
                "gates": gates,
                "state": promotion.state,
                "reason": promotion.state_reason,
                "carried": promotion.carried_at is not None,
                "url": _url(promotion),
            }
            self.stdout.write(json.dumps(document))
            return
        self.stdout.write(
            f"Promotion {promotion.pk}: {promotion}, {promotion.state}, {_url(promotion)}"
        )
        for gate in gates:
            self.stdout.write(f"  {gate['outcome']:12} {gate['id']}: {gate['summary']}")


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 <= seconds <= LONGEST_WAIT:
        raise ArgumentTypeError(f"{text} is not between 0 and {LONGEST_WAIT:g} seconds.")
    return seconds


def _url(promotion: Promotion) -> str:
    return f"{settings.SITE_URL.rstrip('/')}{promotion.get_absolute_url()}"


def _progress(promotion: Promotion) -> str:
    """Where it stands, in one line."""
    state = PromotionState(promotion.state).label
    if promotion.state == PromotionState.APPLIED and promotion.carried_at is None:
        state += ", being carried to MLflow"
    reason = f": {promotion.state_reason}" if promotion.state_reason else ""
    return f"Promotion {promotion.pk}: {state}{reason}"


def _is_done(promotion: Promotion) -> bool:
    return promotion.state == PromotionState.APPLIED and promotion.carried_at is not None


def _is_over(promotion: Promotion) -> bool:
    return _is_done(promotion) or promotion.state not in (*OPEN_PROMOTION, PromotionState.APPLIED)


def _why_not(promotion: Promotion) -> str:
    if _is_over(promotion):
        return f"It is not in effect: {_progress(promotion)}"
    return (
        f"Not in effect within the time given. {_progress(promotion)}. "
        f"It stays open: {_url(promotion)}"
    )


def _entry(model: str, version: int) -> RegistryEntry:
    entry = RegistryEntry.objects.filter(model__name=model, model_version=version).first()
    if entry is None:
        raise CommandError(
            f"{model} v{version} is not known here; run sync_mlflow first.", returncode=2
        )
    return entry
