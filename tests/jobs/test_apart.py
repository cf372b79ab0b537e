"""Isolated jobs share a process of their own as long as it lives."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import connection

from e2i_site.jobs import apart, handlers, runner
from e2i_site.jobs.enqueue import enqueue
from e2i_site.jobs.models import Job, JobState
from tests.waiting import wait_for

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.once]
KIND = "tests.slowly_apart"


@pytest.fixture(autouse=True)
def slow_jobs(monkeypatch: pytest.MonkeyPatch, database_url: str) -> Iterator[None]:
    """Jobs that take their time, here and in the processes that are started."""
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "tests.run.slowly.settings")
    monkeypatch.setenv("DATABASE_URL", database_url)
    before = dict(handlers._handlers)
    handlers.handler(KIND, lease=15, isolated=True)(lambda job: {})
    yield
    handlers._handlers.clear()
    handlers._handlers.update(before)
    for child in apart.processes.idle:
        child.process.kill()
        child.process.wait()
    apart.processes.idle.clear()


def _job(notes: Path, seconds: float = 0) -> Job:
    return enqueue(KIND, payload={"seconds": seconds, "notes": str(notes)})


def _run(job: Job) -> None:
    runner.run(job.pk)
    job.refresh_from_db()
    connection.close()


def test_one_process_after_another_takes_them(tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    jobs = [_job(notes) for _ in range(3)]
    _run(jobs[0])
    (first,) = apart.processes.idle
    _run(jobs[1])
    assert apart.processes.idle == [first]

    os.kill(first.process.pid, signal.SIGKILL)
    first.process.wait()
    _run(jobs[2])
    assert {job.state for job in jobs} == {JobState.SUCCEEDED}
    (second,) = apart.processes.idle

    killed = _job(notes, seconds=30)
    thread = threading.Thread(target=_run, args=[killed])
    thread.start()
    wait_for(lambda: f"begin {killed.pk}" in notes.read_text())
    os.kill(second.process.pid, signal.SIGKILL)
    thread.join(20)
    assert killed.state == JobState.QUEUED, "it is tried again"
    assert killed.message == "The process that ran it ended with status -9."
    assert apart.processes.idle == []


def test_nobody_else_can_offer_it_jobs() -> None:
    from django.core.management import CommandError, call_command

    with pytest.raises(CommandError, match="Only a worker"):
        call_command("run_jobs", "0")
