"""A worker that dies between delivering and recording: the message comes again, under its id."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.utils import timezone

from e2i_site.jobs.models import Job, JobState
from e2i_site.jobs.runner import run
from e2i_site.jobs.sweep import reap
from e2i_site.notifications.models import Delivery, DeliveryState, Webhook
from tests.notifications.receivers import HTTPReceiver

# Delivers for real and dies before it can write that it did.
DIES = """
import os, signal, django
django.setup()
from e2i_site.notifications import delivery
delivery._end = lambda *args: os.kill(os.getpid(), signal.SIGKILL)
from e2i_site.jobs.runner import run
run({job})
"""


@pytest.mark.django_db(transaction=True)
@pytest.mark.both_databases
def test_it_is_delivered_again_with_the_same_id(
    tell: Any, receiver: HTTPReceiver, database_url: str
) -> None:
    Webhook.objects.create(name="receiver", url=receiver.url)
    message = tell()
    job = Job.objects.get()
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "e2i_site.settings",
        "DATABASE_URL": database_url,
        "E2I_WEBHOOK_ALLOW": "127.0.0.1/32",
        "SECRET_KEY": settings.SECRET_KEY,
    }
    died = subprocess.run(
        [sys.executable, "-c", DIES.format(job=job.pk)], env=environment, check=False
    )
    assert died.returncode == -signal.SIGKILL
    delivery = Delivery.objects.get(message=message)
    assert (delivery.state, delivery.attempts, len(receiver.calls)) == (DeliveryState.QUEUED, 1, 1)

    Job.objects.update(lease_expires_at=timezone.now() - timedelta(seconds=1))
    assert reap() == 1
    run(job.pk)
    job.refresh_from_db()
    assert job.state == JobState.WAITING, "the pause after an attempt holds for a dead worker too"
    Delivery.objects.update(next_attempt_at=timezone.now())
    Job.objects.update(run_after=timezone.now())
    run(job.pk)
    job.refresh_from_db()
    delivery.refresh_from_db()
    assert (job.state, delivery.state) == (JobState.SUCCEEDED, DeliveryState.SENT)
    ids = [call.headers["X-E2I-Delivery-Id"] for call in receiver.calls]
    assert ids == [str(delivery.token)] * 2
