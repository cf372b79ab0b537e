"""A real worker on each broker: jobs run, and one whose worker is killed ends exactly once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2i_site.jobs.models import Job, JobQuerySet, JobState
from tests.mlflow_process import stop_group

ROOT = Path(__file__).resolve().parents[2]
WORKER = (
    "worker", "--pool", "threads", "--concurrency", "4", "--queues", "light,isolated",
    "--without-gossip", "--without-mingle", "--without-heartbeat",
)  # fmt: skip


class System:
    """Workers and a scheduler with the environment of a test."""

    def __init__(self, folder: Path, database_url: str, broker: str, broker_url: str) -> None:
        # A process of its own for a job takes longest and is the same on each broker.
        self.long_jobs = 2 if broker == "embedded" else 1
        self.notes = folder / "notes"
        self.notes.touch()
        self.log = folder / "log"
        self._environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "tests.run.slowly.settings",
            "DATABASE_URL": database_url,
            "CELERY_BROKER_URL": broker_url,
        }
        self._processes: list[subprocess.Popen[bytes]] = []

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", *arguments],
                cwd=ROOT, env=self._environment, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        self._processes.append(process)
        return process

    def celery(self, *arguments: str) -> subprocess.Popen[bytes]:
        return self.start("celery", "--quiet", "-A", "e2i_site", *arguments)

    def noted(self) -> Counter[str]:
        """How often each job began and ended."""
        return Counter(self.notes.read_text().splitlines())

    def wait_until(self, holds: object, seconds: float = 90) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if holds():  # type: ignore[operator]
                return
            time.sleep(0.1)
        states = list(Job.objects.values_list("pk", "kind", "state", "attempt", "message"))
        raise AssertionError(f"{states}\n{self.log.read_text()[-3000:]}")

    def stop(self) -> None:
        for process in self._processes:
            stop_group(process.pid, politely=0)


@pytest.fixture(
    params=[
        pytest.param("embedded", marks=pytest.mark.embedded_broker),
        pytest.param("rabbitmq", marks=pytest.mark.rabbitmq),
        pytest.param("redis", marks=pytest.mark.redis),
    ]
)
def system(request: pytest.FixtureRequest, tmp_path: Path, database_url: str) -> Iterator[System]:
    if request.param == "embedded":
        broker = f"sqla+sqlite:///{tmp_path / 'broker.sqlite3'}"
    else:
        broker = request.getfixturevalue(f"{request.param}_url")
    _forget_queues(broker)
    system = System(tmp_path, database_url, request.param, broker)
    yield system
    system.stop()
    _forget_queues(broker)


def _forget_queues(broker: str) -> None:
    """Leave no queue of ours on a shared server."""
    import kombu

    if broker.startswith("sqla"):
        return
    with kombu.Connection(broker) as connection:
        for queue in ("light", "isolated"):
            channel = connection.channel()
            if broker.startswith("redis"):
                channel.client.delete(queue, f"_kombu.binding.{queue}")
            else:
                channel.queue_delete(queue)
            channel.close()


def _ours() -> JobQuerySet:
    """Without what the schedule asks for."""
    return Job.objects.filter(kind__startswith="tests.")


@pytest.mark.once
def test_jobs_survive_the_death_of_their_worker_and_end_once(system: System) -> None:
    jobs = 8 + system.long_jobs
    worker = system.celery(*WORKER)
    system.celery("beat", "--pidfile=")
    system.start("tests.run.slowly.enqueue", str(system.notes), str(system.long_jobs))

    long = _ours().filter(state=JobState.RUNNING, payload__seconds=4)
    system.wait_until(lambda: long.count() == system.long_jobs)
    os.killpg(worker.pid, signal.SIGKILL)
    worker.wait()
    lost = set(_ours().filter(state=JobState.RUNNING).values_list("pk", flat=True))
    assert len(lost) >= system.long_jobs
    # Killed between its last act and the record of it, a job is done again: that cannot be helped.
    cut_off = {f"end {pk}" for pk in lost} & system.noted().keys()

    system.celery(*WORKER)
    system.wait_until(lambda: _ours().filter(state=JobState.SUCCEEDED).count() == jobs)
    ended = {line: count for line, count in system.noted().items() if line.startswith("end")}
    assert len(ended) == jobs
    assert {line for line, count in ended.items() if count != 1} == cut_off
    assert _ours().filter(attempt=2).count() == len(lost)
