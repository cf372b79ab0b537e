"""Messages to the broker. Losing one costs a few seconds: `sweep` sends it again."""

from __future__ import annotations

import logging

from django.utils import timezone

from e2i_site.jobs.handlers import look_up
from e2i_site.jobs.models import Job

logger = logging.getLogger(__name__)

LIGHT_QUEUE = "light"
ISOLATED_QUEUE = "isolated"


def wake(job: Job) -> None:
    """Tell a worker that `job` is there; a broker that is away is logged, never raised.

    A job that only another release can do is left to that one.
    """
    from e2i_site.jobs.tasks import run

    if (handler := look_up(job.kind)) is None:
        return
    queue = ISOLATED_QUEUE if handler.isolated else LIGHT_QUEUE
    try:
        run.apply_async((job.pk,), queue=queue, retry=False)
    except Exception as error:
        logger.warning(
            "The broker does not take messages (%s); %s waits for the sweep.", error, job
        )
    else:
        Job.objects.filter(pk=job.pk).update(woken_at=timezone.now())
