"""Each end of a roll-out and each rollback as a run in MLflow, beside the training runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from deployments.models import Deployment
from e2i_site.jobs.enqueue import enqueue
from e2i_site.jobs.handlers import Wait
from e2i_site.jobs.runner import JobContext
from e2i_site.mlflow_connector import Unreachable, get_connector
from registry.carry_record import deployer_experiment

if TYPE_CHECKING:
    from django.contrib.auth.models import User

ACTIVATED, FAILED, ROLLED_BACK = "activated", "failed", "rolled_back"


def ask_for_run(deployment: Deployment, event: str, *, actor: User | None, reason: str) -> None:
    """Have `event` written to MLflow, once, as soon as it answers; in the caller's transaction."""
    enqueue(
        "deployments.log_run",
        payload={"deployment": deployment.pk, "event": event, "reason": reason},
        subject=f"deployment:{deployment.pk}",
        actor=actor,
    )


def log_run(job: JobContext) -> dict[str, Any]:
    """Write the run to the journal, then deliver it. Raises Wait while MLflow is away."""
    event = job.payload["event"]
    deployment = Deployment.objects.select_related(
        "entry__experiment", "previous_deployment__entry", "deployed_by"
    ).get(pk=job.payload["deployment"])
    # The job's own id: a deployment that came back may be rolled back a second time.
    journal_id = f"deployment-{deployment.pk}-{event}-{job.id}"
    connector = get_connector()
    if not connector.has_journal(journal_id):
        with connector.start_run(
            deployer_experiment(deployment.entry),
            run_name=f"{event}_{deployment.deployment_name}",
            tags=_tags(deployment, event),
            journal_id=journal_id,
        ) as run:
            run.log_params(_params(deployment, job.payload["reason"]))
            run.log_metrics(_metrics(deployment))
    else:
        connector.close_journal(journal_id)  # its writer may have been killed
    try:
        result = connector.replay(journal_id)
    except Unreachable as error:
        raise Wait(f"Waits for MLflow: {error}", seconds=10) from error
    return {"mlflow_run_id": result.run_id, "problems": list(result.problems)}


def _tags(deployment: Deployment, event: str) -> dict[str, Any]:
    experiment = deployment.entry.experiment
    return {
        "source": "e2i",
        "role": "deployment",
        "event": event,
        "experiment_id": experiment.experiment_id if experiment else "",
        "model_name": deployment.entry.model_id,
        "model_version": deployment.entry.model_version,
        "training_run_id": deployment.entry.mlflow_run_id,
    }


def _params(deployment: Deployment, reason: str) -> dict[str, Any]:
    previous = deployment.previous_deployment
    return {
        "deployment": deployment.pk,
        "endpoint": deployment.endpoint_name,
        "environment": deployment.environment,
        "strategy": deployment.strategy,
        "artifact_digest": deployment.artifact_digest,
        "promotion": deployment.promotion_id or "",
        "previous": str(previous.entry) if previous else "",
        "reason": reason,
    }


def _metrics(deployment: Deployment) -> dict[str, float]:
    """What was measured of it; nothing where nothing was."""
    measured = {
        "latency_p50_ms": deployment.latency_p50_ms,
        "latency_p99_ms": deployment.latency_p99_ms,
        "error_rate": deployment.error_rate,
    }
    found = {name: value for name, value in measured.items() if value is not None}
    return {**found, "request_count": float(deployment.request_count)} if found else {}
