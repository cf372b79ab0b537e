"""manage.py mlflow_server: MLflow's own server, with the guard in front of it."""

from __future__ import annotations

import os
import sys
from argparse import REMAINDER
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError

from e2i_site.mlflow_connector.guard.app import PLUGIN
from registry.governed import publish


class Command(BaseCommand):
    help = (
        "Start `mlflow server` with the guard: what E2I governs is changed by E2I only. All "
        "arguments go to mlflow server. E2I_GUARD=0 starts it without."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("arguments", nargs=REMAINDER, metavar="ARGUMENT")

    def run_from_argv(self, argv: list[str]) -> None:
        """Everything after the command's name is MLflow's, options too."""
        if argv[2:3] in (["--help"], ["-h"]):
            super().run_from_argv(argv)
        try:
            self.handle(arguments=argv[2:])
        except CommandError as error:
            self.stderr.write(str(error))
            sys.exit(2)

    def handle(self, *args: Any, **options: Any) -> None:
        arguments: list[str] = options["arguments"]
        environment = dict(os.environ)
        if settings.GUARD:
            if any(each.split("=")[0] == "--app-name" for each in arguments):
                raise CommandError(
                    "--app-name is the guard's; E2I_GUARD=0 starts MLflow without the guard."
                )
            arguments = ["--app-name", "e2i-guard", *arguments]
            environment |= _guarded(environment)
            self._publish()
        command = [sys.executable, "-m", "mlflow", "server", *arguments]
        os.execve(sys.executable, command, environment)  # noqa: S606 - this process becomes it

    def _publish(self) -> None:
        """Tell the guard what is governed; the worker tells it again when that changes."""
        try:
            publish()
        except DatabaseError as error:
            self.stderr.write(
                f"The database does not say what is governed yet ({error}); until the worker "
                "does, the guard refuses by hand whatever may be governed."
            )


def _guarded(environment: dict[str, str]) -> dict[str, str]:
    """What the guard needs: where MLflow finds it, E2I's token and the list."""
    paths = [str(PLUGIN), str(settings.BASE_DIR), environment.get("PYTHONPATH", "")]
    needed = {
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        "E2I_GUARD_LIST": str(settings.GUARD_LIST),
    }
    if not environment.keys() & {"E2I_GUARD_TOKEN", "E2I_GUARD_TOKEN_FILE"}:
        needed["E2I_GUARD_TOKEN_FILE"] = str(settings.DATA_DIR / "guard-token")
    return needed
