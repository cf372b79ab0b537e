"""manage.py run_jobs: the process in which isolated jobs run. Not for people."""

from __future__ import annotations

import os
import stat
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import close_old_connections

from e2i_site.jobs import apart
from e2i_site.jobs.models import Job
from e2i_site.jobs.runner import execute


class Command(BaseCommand):
    help = "Run claimed jobs, one after another; the worker starts this."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("channel", type=int, help="Descriptor over which jobs are offered.")

    def handle(self, *args: Any, **options: Any) -> None:
        if not _is_socket(options["channel"]):
            raise CommandError("Only a worker can start this.")
        for job_id, token in apart.offers(options["channel"]):
            close_old_connections()
            job = Job.objects.filter(pk=job_id, lease_token=token).first()
            if job is not None:
                execute(job, token, die_on_stop=True)


def _is_socket(descriptor: int) -> bool:
    try:
        return stat.S_ISSOCK(os.fstat(descriptor).st_mode)
    except OSError:
        return False
