"""Background work of training. Fitting runs in a process of its own, which can be killed."""

from __future__ import annotations

from typing import Any

from e2i_site.jobs.handlers import Wait, handler
from e2i_site.jobs.runner import JobContext
from e2i_site.mlflow_connector.errors import Conflict, Unreachable


@handler("training.select", isolated=True, lease=60)
def select(job: JobContext) -> dict[str, Any]:
    """Run model_selector."""
    from training.actions.run_selection import run_selection

    return run_selection(selection_id=job.payload["selection"], job=job)


@handler("training.train", isolated=True, lease=60)
def train(job: JobContext) -> dict[str, Any]:
    """Run model_trainer."""
    from training.actions.run_training import run_training

    return run_training(run_id=job.payload["training_run"], job=job)


@handler("training.deliver", lease=120)
def deliver(job: JobContext) -> dict[str, Any]:
    """Write to MLflow what waited while it was away."""
    from training.actions import deliver as delivery

    try:
        if "training_run" in job.payload:
            return delivery.deliver_training(job.payload["training_run"])
        if "selection" in job.payload:
            return delivery.deliver_selection(job.payload["selection"])
        return delivery.deliver_journal(job.payload["journal"])
    except Unreachable as error:
        raise Wait(f"Waits for MLflow: {error}", seconds=10) from error
    except Conflict as error:
        raise Wait(str(error), seconds=5) from error


@handler("training.settle")
def settle(job: JobContext) -> dict[str, Any]:
    """Bring rows to a true end whose job ended without them."""
    from training.actions.settle import settle

    return settle()
