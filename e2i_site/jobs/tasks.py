"""Celery's side of the jobs: thin wrappers."""

from __future__ import annotations

from celery import shared_task

from e2i_site.jobs import runner
from e2i_site.jobs import sweep as sweeping


@shared_task(name="jobs.run", ignore_result=True)
def run(job_id: int) -> None:
    runner.run(job_id)


@shared_task(name="jobs.sweep", ignore_result=True, expires=10)
def sweep() -> None:
    sweeping.sweep()


@shared_task(name="jobs.prune", ignore_result=True)
def prune() -> None:
    sweeping.prune()


@shared_task(name="jobs.every", ignore_result=True, expires=30)
def every(kind: str) -> None:
    """Enqueue a periodic job unless the last one is still unfinished."""
    from e2i_site.jobs.enqueue import enqueue

    enqueue(kind, key=f"every:{kind}")
