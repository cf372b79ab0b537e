"""manage.py import_dataset: a CSV or Parquet file becomes a data set."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from e2i_site.core.errors import E2IError
from training.actions.import_dataset import import_dataset
from training.choices import ProblemType
from training.management import foreground


class Command(BaseCommand):
    help = "Import a CSV or Parquet file as a data set with schema and digest."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="letters, digits, - and _")
        parser.add_argument("file", type=Path)
        parser.add_argument(
            "--target", required=True, help="a column, or a rule: 'any_visit = mdvis > 0'"
        )
        parser.add_argument("--problem", default="", choices=["", *ProblemType.values])
        parser.add_argument(
            "--group", action="append", default=[], help="rows equal in it stay together"
        )
        parser.add_argument("--time", default="", help="column that orders the rows in time")
        parser.add_argument("--description", default="")
        parser.add_argument("--provenance", default="", help="where the data is from")
        foreground.add_common_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            dataset = import_dataset(
                actor=foreground.actor_named(options["user"]),
                name=options["name"],
                path=options["file"],
                target=options["target"],
                problem_type=options["problem"],
                group_columns=tuple(options["group"]),
                time_column=options["time"],
                description=options["description"],
                provenance=options["provenance"],
            )
        except E2IError as error:
            raise foreground.as_command_error(error) from None
        result = {
            "name": dataset.name,
            "digest": dataset.digest,
            "rows": dataset.row_count,
            "target": dataset.target,
            "problem_type": dataset.problem_type,
            "columns": dataset.columns,
        }
        foreground.print_result(result, as_json=options["json"], out=self.stdout)
