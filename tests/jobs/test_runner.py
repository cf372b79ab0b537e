"""Jobs run once in effect, under a lease, in order, and say how they ended."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.utils import timezone

from e2i_site.core.errors import Refused
from e2i_site.jobs import handlers, runner, sweep
from e2i_site.jobs.actions.cancel import cancel
from e2i_site.jobs.enqueue import enqueue
from e2i_site.jobs.handlers import Permanent, Wait, handler
from e2i_site.jobs.models import Job, JobState
from e2i_site.jobs.runner import JobContext

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def quiet_broker(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The broker takes messages to nobody; jobs are run by hand here."""
    sent: list[int] = []
    monkeypatch.setattr(
        "e2i_site.jobs.tasks.run.apply_async", lambda args, **kwargs: sent.append(args[0])
    )
    return sent


@pytest.fixture
def kinds() -> Iterator[dict[str, list[int]]]:
    """Test kinds, removed again; {"seen": ids in the order they ran}."""
    before = dict(handlers._handlers)
    seen: dict[str, list[int]] = {"seen": []}

    @handler("tests.note")
    def note(job: JobContext) -> dict:
        seen["seen"].append(job.id)
        job.progress("Noting", 1, 2)
        job.log("noted")
        return {"ok": True}

    @handler("tests.ordered", ordered=True)
    def ordered(job: JobContext) -> dict:
        seen["seen"].append(job.id)
        return {}

    @handler("tests.boom", max_attempts=2)
    def boom(job: JobContext) -> dict:
        raise ZeroDivisionError("bad luck")

    @handler("tests.wait")
    def wait(job: JobContext) -> dict:
        raise Wait("MLflow does not answer", seconds=5)

    @handler("tests.never")
    def never(job: JobContext) -> dict:
        raise Permanent("The version is gone.")

    yield seen
    handlers._handlers.clear()
    handlers._handlers.update(before)


def _run(job: Job) -> Job:
    runner.run(job.pk)
    job.refresh_from_db()
    return job


def test_a_job_runs_once_and_keeps_its_result(kinds: dict) -> None:
    job = _run(enqueue("tests.note", payload={"a": 1}))
    assert (job.state, job.result, job.attempt) == (JobState.SUCCEEDED, {"ok": True}, 1)
    assert (job.phase, job.done, job.total) == ("Noting", 1, 2)
    assert job.log.endswith("noted\n")
    _run(job)
    assert kinds["seen"] == [job.pk]


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(KeyError, match=r"tests\.missing"):
        enqueue("tests.missing")


def test_a_key_gives_back_the_unfinished_job(kinds: dict) -> None:
    first = enqueue("tests.note", key="k")
    assert enqueue("tests.note", key="k") == first
    _run(first)
    assert enqueue("tests.note", key="k") != first


def test_a_key_whose_job_ends_in_the_same_moment_gives_a_new_one(
    kinds: dict, monkeypatch: pytest.MonkeyPatch
) -> None:
    save = Job.save

    def taken(self: Job, **options: Any) -> None:
        monkeypatch.setattr(Job, "save", save)
        raise IntegrityError("job_one_unfinished_a_key")

    monkeypatch.setattr(Job, "save", taken)
    assert enqueue("tests.note", key="once").state == JobState.QUEUED
    with pytest.raises(IntegrityError):
        monkeypatch.setattr(Job, "save", taken)
        enqueue("tests.note")


def test_the_database_holds_the_key_rule(kinds: dict) -> None:
    job = enqueue("tests.note", key="k")
    job.pk = None
    with pytest.raises(IntegrityError), transaction.atomic():
        job.save(force_insert=True)


def test_an_exception_uses_attempts_and_then_fails(kinds: dict) -> None:
    job = _run(enqueue("tests.boom"))
    assert job.state == JobState.QUEUED
    assert job.run_after > timezone.now()
    Job.objects.update(run_after=timezone.now())
    job = _run(job)
    assert (job.state, job.attempt) == (JobState.FAILED, 2)
    assert job.message == "ZeroDivisionError: bad luck"


def test_waiting_uses_no_attempt(kinds: dict) -> None:
    job = _run(enqueue("tests.wait"))
    assert (job.state, job.attempt) == (JobState.WAITING, 0)
    assert job.message == "MLflow does not answer"
    assert runner.claim(job.pk) is None


def test_a_permanent_failure_is_not_tried_again(kinds: dict) -> None:
    job = _run(enqueue("tests.never"))
    assert (job.state, job.message) == (JobState.FAILED, "The version is gone.")


def test_ordered_jobs_of_one_subject_wait_for_the_older(kinds: dict) -> None:
    first = enqueue("tests.ordered", subject="model:a")
    second = enqueue("tests.ordered", subject="model:a")
    other = enqueue("tests.ordered", subject="model:b")
    assert runner.claim(second.pk) is None
    for job in (other, first, second):
        _run(job)
    assert kinds["seen"] == [other.pk, first.pk, second.pk]


def test_finishing_wakes_the_next_ordered_job(kinds: dict, quiet_broker: list[int]) -> None:
    first = enqueue("tests.ordered", subject="model:a")
    second = enqueue("tests.ordered", subject="model:a")
    _run(first)
    assert second.pk in quiet_broker


def test_only_one_claim_succeeds(kinds: dict) -> None:
    job = enqueue("tests.note")
    assert runner.claim(job.pk) is not None
    assert runner.claim(job.pk) is None


def test_a_dead_workers_job_is_freed_and_the_dead_one_cannot_write(kinds: dict) -> None:
    job = enqueue("tests.note")
    claimed = runner.claim(job.pk)
    assert claimed is not None
    stale = JobContext(*claimed)
    Job.objects.update(lease_expires_at=timezone.now() - timedelta(seconds=1))
    assert sweep.reap() == 1
    job.refresh_from_db()
    assert job.state == JobState.QUEUED
    with pytest.raises(handlers.LeaseLost):
        stale.progress("late")
    job = _run(job)
    assert (job.state, job.attempt) == (JobState.SUCCEEDED, 2)


def test_a_job_whose_worker_always_dies_fails(kinds: dict) -> None:
    job = enqueue("tests.note")
    for _ in range(3):
        assert runner.claim(job.pk) is not None
        Job.objects.update(lease_expires_at=timezone.now() - timedelta(seconds=1))
        sweep.reap()
    job.refresh_from_db()
    assert job.state == JobState.FAILED


def test_the_sweep_wakes_what_was_forgotten_once(kinds: dict, quiet_broker: list[int]) -> None:
    job = enqueue("tests.note")
    sweep.sweep()
    sweep.sweep()
    assert quiet_broker == [job.pk]


def test_jobs_of_a_kind_that_nobody_here_does_keep_no_other_waiting(
    kinds: dict,
    quiet_broker: list[int],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(sweep, "BATCH", 2)
    for _ in range(3):
        enqueue("tests.note")
    Job.objects.update(kind="tests.removed")  # as a newer release left them
    job = enqueue("tests.note")
    sweep.sweep()
    sweep.sweep()
    assert quiet_broker == [job.pk]
    assert caplog.text.count("tests.removed") == 1


def test_finishing_before_a_job_of_an_unknown_kind_is_no_failure(
    kinds: dict, quiet_broker: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    first = enqueue("tests.ordered", subject="model:a")
    second = enqueue("tests.ordered", subject="model:a")
    Job.objects.filter(pk=second.pk).update(kind="tests.moved")
    assert _run(first).state == JobState.SUCCEEDED
    assert quiet_broker == []
    assert "tests.moved" in caplog.text


def test_a_message_for_a_job_of_an_unknown_kind_leaves_it_to_others(kinds: dict) -> None:
    job = enqueue("tests.note")
    Job.objects.update(kind="tests.renamed")
    assert (_run(job).state, job.attempt) == (JobState.QUEUED, 0)


def test_a_dead_broker_does_not_break_the_caller(
    kinds: dict, monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks
) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise ConnectionError("broker away")

    monkeypatch.setattr("e2i_site.jobs.tasks.run.apply_async", refuse)
    with django_capture_on_commit_callbacks(execute=True) as callbacks:
        job = enqueue("tests.note")
    assert len(callbacks) == 1
    job.refresh_from_db()
    assert job.woken_at is None


def test_cancelling_a_queued_job_ends_it(kinds: dict) -> None:
    owner = User.objects.create_user("ana")
    job = enqueue("tests.note", actor=owner)
    with pytest.raises(Refused):
        cancel(job=job, actor=User.objects.create_user("eve"))
    assert cancel(job=job, actor=owner).state == JobState.CANCELLED
    assert _run(job).state == JobState.CANCELLED


def test_cancelling_a_running_job_stops_it_at_its_next_step(kinds: dict) -> None:
    owner = User.objects.create_user("ana")
    job = enqueue("tests.note", actor=owner)
    claimed = runner.claim(job.pk)
    assert claimed is not None
    cancel(job=job, actor=owner)
    runner.execute(*claimed)
    job.refresh_from_db()
    assert job.state == JobState.CANCELLED
    assert kinds["seen"] == []


def test_pruning_keeps_what_people_may_look_for(kinds: dict) -> None:
    periodic = _run(enqueue("tests.note", key="every:tests.note"))
    kept = _run(enqueue("tests.note"))
    Job.objects.update(finished_at=timezone.now() - timedelta(days=2))
    sweep.prune()
    assert set(Job.objects.values_list("pk", flat=True)) == {kept.pk}
    assert periodic.pk != kept.pk


@pytest.mark.django_db(transaction=True)
def test_racing_workers_run_each_job_once(kinds: dict) -> None:
    from django.db import connection

    jobs = [enqueue("tests.note") for _ in range(6)]

    def work() -> None:
        try:
            for job in jobs:
                runner.run(job.pk)
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(kinds["seen"]) == [job.pk for job in jobs]
    assert set(Job.objects.values_list("state", flat=True)) == {JobState.SUCCEEDED}


@pytest.mark.django_db(transaction=True)
def test_a_lease_is_renewed_though_its_connection_broke(
    kinds: dict, monkeypatch: pytest.MonkeyPatch
) -> None:
    from django.db import connection

    renew, renewed = JobContext.renew, threading.Event()
    broken: list[str] = []

    def drop_once(ctx: JobContext, lease: float) -> None:
        in_heartbeat = threading.current_thread().name == f"lease-{ctx.id}"
        if in_heartbeat and not broken:
            connection.ensure_connection()
            connection.connection.close()
            broken.append("as when the network did it")
        renew(ctx, lease)
        if in_heartbeat:
            renewed.set()

    monkeypatch.setattr(JobContext, "renew", drop_once)

    @handler("tests.slow", lease=0.4)
    def slow(job: JobContext) -> dict:
        return {"renewed": renewed.wait(2)}

    assert _run(enqueue("tests.slow")).result == {"renewed": True}
    assert broken
