"""Processes of their own for isolated jobs."""

from __future__ import annotations

import sys
import uuid
from collections.abc import Iterator

from django.conf import settings

from e2i_site.core.lingering import Lingering, tasks

processes = Lingering([sys.executable, "manage.py", "run_jobs"], folder=settings.BASE_DIR)


def run(job_id: int, token: uuid.UUID) -> int:
    """Have a claimed job run in a process of its own; 0, or the status with which that ended.

    The process renews the lease itself: when only the worker dies, it still ends the job properly.
    """
    return processes.run(f"{job_id} {token}")


def offers(descriptor: int) -> Iterator[tuple[int, uuid.UUID]]:
    """In such a process: jobs to run and their lease tokens, until none comes for a while."""
    for task in tasks(descriptor):
        job_id, token = task.split()
        yield int(job_id), uuid.UUID(token)
