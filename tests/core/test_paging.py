"""Pages by position: every row exactly once, forwards and back."""

from __future__ import annotations

import uuid

import pytest
from django.test import RequestFactory
from django.utils import timezone

from e2i_site.core.paging import KeysetPage, keyset_page
from e2i_site.jobs.models import Job, JobState

SIZE = 3


def jobs(count: int) -> list[int]:
    made = [
        Job.objects.create(
            kind="audit.run",
            run_after=timezone.now(),
            request_id=uuid.uuid4(),
            state=JobState.SUCCEEDED,
        )
        for _ in range(count)
    ]
    return [job.pk for job in reversed(made)]


def page(**query: int) -> KeysetPage:
    return keyset_page(Job.objects.all(), RequestFactory().get("/", query), size=SIZE)


@pytest.mark.django_db
@pytest.mark.parametrize("count", [0, 1, 3, 4, 9, 10])
def test_walking_older_and_back_newer_meets_every_row_once(count: int) -> None:
    keys = jobs(count)
    seen, current = [], page()
    seen += [row.pk for row in current]
    while current.older is not None:
        current = page(before=current.older)
        seen += [row.pk for row in current]
    assert seen == keys
    back = [row.pk for row in current][::-1]
    while current.newer is not None:
        current = page(after=current.newer)
        back += [row.pk for row in current][::-1]
    assert back == keys[::-1]


@pytest.mark.django_db
def test_a_page_is_one_query(django_assert_num_queries: object) -> None:
    keys = jobs(7)
    with django_assert_num_queries(1):  # type: ignore[operator]
        found = page(before=keys[2])
    assert [row.pk for row in found] == keys[3:6]


@pytest.mark.django_db
@pytest.mark.parametrize("raw", ["x", "-1", "1e3", "9" * 30, "²"])
def test_a_key_that_is_no_number_is_ignored(raw: str) -> None:
    keys = jobs(2)
    request = RequestFactory().get("/", {"before": raw})
    assert [row.pk for row in keyset_page(Job.objects.all(), request)] == keys
