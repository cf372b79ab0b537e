"""manage.py mlflow_server: MLflow's own server, with the guard in front of it."""

from __future__ import annotations

import os
import sys
from argparse import REMAINDER, ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError

from e2i_site.mlflow_connector.guard.app import PLUGIN, applications
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
            asked, rest = _application(arguments)
            arguments = ["--app-name", "e2i-guard", *rest]
            environment |= _guarded(environment) | asked
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


def _application(arguments: list[str]) -> tuple[dict[str, str], list[str]]:
    """What the guard should stand before, as `--app-name` says it; and the other arguments."""
    parser = ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--app-name")
    given, rest = parser.parse_known_args(arguments)
    if given.app_name is None:
        return {}, rest
    if given.app_name not in applications():
        known = ", ".join(sorted(applications()))
        raise CommandError(f"--app-name {given.app_name} is unknown to MLflow; it has {known}.")
    return {"E2I_GUARD_APP": given.app_name}, rest


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
