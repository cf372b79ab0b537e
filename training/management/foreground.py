"""Running a job from the command line: the same job as from the site, watched until it ends."""

from __future__ import annotations

import json
import threading
import time
from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import CommandError, CommandParser
from django.core.management.base import OutputWrapper as Output
from django.db import connection

from e2i_site.core.errors import E2IError, InvalidInput, Refused
from e2i_site.jobs import runner
from e2i_site.jobs.models import Job, JobState
from training.actions.settle import settle
from training.models import Experiment

PAUSE = 0.3


def add_common_arguments(parser: CommandParser) -> None:
    """--json and --user, which every command of training has."""
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--user", help="act as this user; without it, as the operator")


def actor_named(name: str | None) -> User | None:
    """The user of that name; None for the operator. Raises CommandError, status 2."""
    if not name:
        return None
    try:
        return User.objects.get(username=name)
    except User.DoesNotExist:
        raise CommandError(f"There is no user {name!r}.", returncode=2) from None


def experiment_named(experiment_id: str) -> Experiment:
    """The experiment with that id. Raises CommandError, status 2."""
    try:
        return Experiment.objects.select_related("dataset").get(experiment_id=experiment_id)
    except Experiment.DoesNotExist:
        known = ", ".join(Experiment.objects.values_list("experiment_id", flat=True)[:20])
        raise CommandError(
            f"There is no experiment {experiment_id!r}; there are {known or 'none'}.", returncode=2
        ) from None


def as_command_error(error: E2IError) -> CommandError:
    """Wrong input is wrong usage, status 2; a rule that says no is status 1."""
    wrong = isinstance(error, InvalidInput) and not isinstance(error, Refused)
    return CommandError(str(error), returncode=2 if wrong else 1)


def watch(job: Job, errors: Output) -> Job:
    """Run the job here unless a worker has it, show its progress, and return it finished.

    Ctrl-C cancels the job. Raises CommandError, status 1, when it did not succeed.
    """
    try:
        _follow(job, errors)
    except KeyboardInterrupt:
        Job.objects.filter(pk=job.pk).update(cancel_requested=True)
        errors.write("Stopping …")
        _follow(job, errors)
        settle()
    job.refresh_from_db()
    if job.state != JobState.SUCCEEDED:
        raise CommandError(f"{job.get_state_display()}: {job.message}", returncode=1)
    return job


def print_result(result: dict[str, Any], *, as_json: bool, out: Output) -> None:
    """One JSON document, or a line a fact."""
    if as_json:
        out.write(json.dumps(result))
        return
    for name, value in result.items():
        if value not in (None, "", {}, []):
            out.write(f"{name.replace('_', ' ')}: {value}")


def _follow(job: Job, errors: Output) -> None:
    shown = ""
    worker: threading.Thread | None = None
    while True:
        job.refresh_from_db()
        line = f"{job.phase} {job.done}/{job.total}" if job.total else job.phase
        if line and line != shown:
            errors.write(line)
            shown = line
        if job.is_finished:
            break
        if worker is None or not worker.is_alive():
            worker = threading.Thread(target=_run, args=(job.pk,), daemon=True)
            worker.start()
        time.sleep(PAUSE)
    if worker is not None:
        worker.join(timeout=30)


def _run(job_id: int) -> None:
    """Claim the job and run it, if it is due and nobody else has it."""
    try:
        runner.run(job_id)
    finally:
        connection.close()
