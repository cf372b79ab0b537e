"""manage.py run_job: the child process of an isolated job. Not for people."""

from __future__ import annotations

import os
import uuid
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from e2i_site.jobs.models import Job
from e2i_site.jobs.runner import execute


class Command(BaseCommand):
    help = "Run one claimed job; the worker starts this."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("job", type=int)

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            token = uuid.UUID(os.environ["E2I_JOB_TOKEN"])
            job = Job.objects.get(pk=options["job"], lease_token=token)
        except (KeyError, ValueError, Job.DoesNotExist):
            raise CommandError("Only a worker that holds the job's lease can run it.") from None
        execute(job, token, die_on_stop=True)
