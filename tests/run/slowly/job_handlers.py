"""Jobs that write down when they begin and end."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from e2i_site.jobs.handlers import handler
from e2i_site.jobs.runner import JobContext


@handler("tests.slowly", lease=6)
def slowly(job: JobContext) -> dict[str, Any]:
    return _take_time(job)


# Longer: a process has to start before it can renew the lease.
@handler("tests.slowly_apart", lease=15, isolated=True)
def slowly_apart(job: JobContext) -> dict[str, Any]:
    return _take_time(job)


def _take_time(job: JobContext) -> dict[str, Any]:
    _note(job, "begin")
    end = time.monotonic() + job.payload["seconds"]
    while time.monotonic() < end:
        time.sleep(0.05)
        job.raise_if_cancelled()
    _note(job, "end")
    return {"attempt": job.attempt}


def _note(job: JobContext, what: str) -> None:
    with Path(job.payload["notes"]).open("a") as notes:
        notes.write(f"{what} {job.id}\n")
