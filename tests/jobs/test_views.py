"""The jobs' pages: they live while there is something to wait for, and cancel what may be."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from e2i_site.core.roles import Role
from e2i_site.jobs.models import Job, JobState
from e2i_site.trail.models import TrailEntry

pytestmark = pytest.mark.django_db
POLLS = 'hx-trigger="every 2s"'


def job(state: str = JobState.QUEUED, **fields: Any) -> Job:
    now = timezone.now()
    if state == JobState.RUNNING:
        lease = now + timedelta(minutes=5)
        fields |= {"lease_token": uuid.uuid4(), "lease_expires_at": lease, "started_at": now}
    fields.setdefault("kind", "audit.run")
    return Job.objects.create(state=state, run_after=now, request_id=uuid.uuid4(), **fields)


def test_every_role_reads_them_in_few_queries(
    client: Any, people: Any, django_assert_max_num_queries: Any
) -> None:
    made = [job(actor=people.deployer) for _ in range(30)]
    for role in Role.values:
        client.force_login(getattr(people, role))
        for path in ("/jobs/", f"/jobs/{made[0].pk}/"):
            with django_assert_max_num_queries(10):
                assert client.get(path).status_code == 200


@pytest.mark.parametrize("state", JobState.values)
def test_a_page_asks_again_only_while_the_job_is_unfinished(
    state: str, client: Any, people: Any
) -> None:
    made = job(state, message="MLflow does not answer.", phase="tune", done=3, total=10)
    client.force_login(people.viewer)
    for path in ("/jobs/", f"/jobs/{made.pk}/"):
        html = client.get(path).content.decode()
        assert (POLLS in html) == (not made.is_finished)


def test_progress_comes_as_a_part(client: Any, people: Any) -> None:
    made = job(JobState.RUNNING, phase="tune_hyperparameters", done=37, total=50, log="fold 1\n")
    client.force_login(people.viewer)
    html = client.get(
        f"/jobs/{made.pk}/", headers={"HX-Request": "true", "HX-Target": "progress"}
    ).content.decode()
    assert "<html" not in html
    assert "tune_hyperparameters" in html
    assert "37 of 50" in html
    assert 'value="37" max="50"' in html
    assert "fold 1" in html


def test_who_asked_can_cancel(client: Any, people: Any) -> None:
    made = job(actor=people.requester)
    client.force_login(people.requester)
    response = client.post(f"/jobs/{made.pk}/cancel/", follow=True)
    assert "was cancelled" in response.content.decode()
    made.refresh_from_db()
    assert made.state == JobState.CANCELLED
    assert TrailEntry.objects.filter(event="jobs.job.cancelled").count() == 1


def test_a_running_job_is_asked_to_stop(client: Any, people: Any) -> None:
    made = job(JobState.RUNNING)
    client.force_login(people.deployer)
    response = client.post(f"/jobs/{made.pk}/cancel/", follow=True)
    assert "is asked to stop" in response.content.decode()
    assert "It is being cancelled." in response.content.decode()


def test_others_see_why_they_cannot_cancel_and_cannot(client: Any, people: Any) -> None:
    made = job(actor=people.requester)
    client.force_login(people.viewer)
    html = client.get(f"/jobs/{made.pk}/").content.decode()
    assert "Only the person who started it" in html
    response = client.post(f"/jobs/{made.pk}/cancel/")
    assert response.status_code == 403
    assert "Only the person who started it" in response.content.decode()
    made.refresh_from_db()
    assert made.state == JobState.QUEUED
    assert client.get(f"/jobs/{made.pk}/cancel/").status_code == 405


def test_the_schedule_is_quiet_unless_asked_for_or_failing(client: Any, people: Any) -> None:
    quiet = job(JobState.SUCCEEDED, key="every:audit.run")
    failing = job(JobState.FAILED, key="every:mlflow.sync")
    asked = job(JobState.SUCCEEDED)
    client.force_login(people.viewer)
    shown = {each.pk for each in client.get("/jobs/").context["page"]}
    assert shown == {failing.pk, asked.pk}
    shown = {each.pk for each in client.get("/jobs/?scheduled=on").context["page"]}
    assert shown == {quiet.pk, failing.pk, asked.pk}


def test_filters_are_in_the_url(client: Any, people: Any) -> None:
    wanted = job(JobState.FAILED, subject="model:churn", kind="registry.carry_stage")
    job(JobState.FAILED, subject="model:other", kind="registry.carry_stage")
    client.force_login(people.viewer)
    page = client.get("/jobs/?state=failed&subject=churn&kind=registry.").context["page"]
    assert [each.pk for each in page] == [wanted.pk]
    assert "No jobs match" in client.get("/jobs/?state=running").content.decode()
