"""manage.py select: choose an algorithm for an experiment."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from e2i_site.core.errors import E2IError
from training.actions.request_selection import request_selection
from training.actions.run_selection import summary
from training.management import foreground


class Command(BaseCommand):
    help = "Run model_selector for an experiment and show its progress."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("experiment")
        parser.add_argument("--top", type=int, default=3, help="candidates to benchmark")
        parser.add_argument("--folds", type=int, default=5)
        parser.add_argument("--exclude", action="append", default=[], metavar="ALGORITHM")
        parser.add_argument("--prefer", action="append", default=[], metavar="ALGORITHM")
        parser.add_argument("--max-latency-ms", type=float)
        parser.add_argument("--max-memory-gb", type=float)
        parser.add_argument("--minimum-interpretability", type=float)
        foreground.add_common_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        actor = foreground.actor_named(options["user"])
        experiment = foreground.experiment_named(options["experiment"])
        limits = {
            "max_latency_ms": options["max_latency_ms"],
            "max_memory_gb": options["max_memory_gb"],
            "minimum_interpretability": options["minimum_interpretability"],
            "exclude": options["exclude"],
            "preferred": options["prefer"],
        }
        try:
            selection = request_selection(
                actor=actor,
                experiment=experiment,
                constraints=limits,
                top=options["top"],
                folds=options["folds"],
            )
        except E2IError as error:
            raise foreground.as_command_error(error) from None
        if selection.job is not None:
            foreground.watch(selection.job, self.stderr)
        selection.refresh_from_db()
        foreground.print_result(summary(selection), as_json=options["json"], out=self.stdout)
