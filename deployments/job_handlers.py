"""Background work of deployments: roll-outs, rollbacks, and the watch over what serves."""

from __future__ import annotations

from typing import Any

from e2i_site.jobs.handlers import handler
from e2i_site.jobs.runner import JobContext


@handler("deployments.roll_out", ordered=True, lease=120)
def roll_out(job: JobContext) -> dict[str, Any]:
    """Package, load, check, switch: one approved promotion into serving."""
    from deployments.rollout import roll_out as run

    return run(job)


@handler("deployments.roll_back", lease=120)
def roll_back(job: JobContext) -> dict[str, Any]:
    """Verify, load, check, switch back to the previous deployment.

    Not ordered: a roll-out of the endpoint may wait for MLflow for hours. Whichever of the two
    switches first, the other finds under the model's lock that it no longer fits.
    """
    from deployments.rollback import roll_back as run

    return run(job)


@handler("deployments.watch", lease=120)
def watch(job: JobContext) -> dict[str, Any]:
    """Look after all live deployments and open shadow windows."""
    from deployments.watch import watch as run

    return run(job)


@handler("deployments.log_run", ordered=True)
def log_run(job: JobContext) -> dict[str, Any]:
    """Write an end of a roll-out, or a rollback, to MLflow."""
    from deployments.mlflow_runs import log_run as run

    return run(job)
