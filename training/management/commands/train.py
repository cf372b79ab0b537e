"""manage.py train: train a model for an experiment."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from e2i_site.core.errors import E2IError
from training.actions.request_training import request_training
from training.actions.run_training import summary
from training.management import foreground


class Command(BaseCommand):
    help = "Run model_trainer for an experiment and show its progress."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("experiment")
        parser.add_argument("--algorithm", default="", help="else the one that was selected")
        parser.add_argument("--trials", type=int, default=50)
        parser.add_argument("--timeout", type=float, default=3600.0, help="of the trials, seconds")
        parser.add_argument("--folds", type=int, default=3)
        parser.add_argument("--balancing", default="", help="else the data decides")
        parser.add_argument("--seed", type=int, default=42)
        foreground.add_common_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        actor = foreground.actor_named(options["user"])
        experiment = foreground.experiment_named(options["experiment"])
        try:
            run = request_training(
                actor=actor,
                experiment=experiment,
                algorithm=options["algorithm"],
                trials=options["trials"],
                timeout_seconds=options["timeout"],
                folds=options["folds"],
                balancing=options["balancing"],
                seed=options["seed"],
            )
        except E2IError as error:
            raise foreground.as_command_error(error) from None
        if run.job is not None:
            foreground.watch(run.job, self.stderr)
        run.refresh_from_db()
        foreground.print_result(summary(run), as_json=options["json"], out=self.stdout)
