"""Background work."""

from __future__ import annotations

import uuid
from typing import Any

import factory
from django.utils import timezone

from e2i_site.jobs.models import Job
from tests.factories.people import UserFactory


class JobFactory(factory.django.DjangoModelFactory[Job]):
    """A queued job that somebody asked for."""

    class Meta:
        model = Job

    kind = "training.train"
    subject = "experiment:visits"
    payload: dict[str, Any] = {"training_run": 1}
    run_after = factory.LazyFunction(timezone.now)
    request_id = factory.LazyFunction(uuid.uuid4)
    actor = factory.SubFactory(UserFactory, roles=["requester"])
