"""Bringing a deployment's model into the gateway and trying it, before it may answer anybody."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.utils import timezone

from deployments.gateway.client import GatewayAway, GatewayClient, Reply
from deployments.models import Deployment
from deployments.store import ArtifactStore, input_example
from e2i_site.core.errors import E2IError
from e2i_site.jobs.handlers import Wait
from e2i_site.mlflow_connector import Unreachable, get_connector

# The gateway looks for new deployments about once a second.
POLL_SECONDS = 0.3
POLLS = 50
# A model that is not in memory after this long will not get there.
PATIENCE = timedelta(minutes=10)
LOADING = "loading"


class Unfit(E2IError):
    """The deployment must not go live; the message says why."""


def artifact_store() -> ArtifactStore:
    return ArtifactStore(settings.ARTIFACT_STORE)


def package(deployment: Deployment) -> Path:
    """The verified files of the deployment, from the store or through MLflow.

    Raises Wait while MLflow is away, DigestMismatch for other bytes, the connector's errors.
    """
    entry = deployment.entry
    uri = f"models:/{entry.model_id}/{entry.model_version}"

    def download(target: Path) -> None:
        get_connector().download_artifacts(uri, target)

    try:
        return artifact_store().fetch(deployment.artifact_digest, download)
    except Unreachable as error:
        raise Wait(f"Waits for MLflow to hand out the files: {error}", seconds=10) from error


def wait_until_loaded(deployment: Deployment, *, job: int, alive: Callable[[], None]) -> None:
    """Return once the gateway has the model, verified, in memory.

    Raises Unfit where it refuses, or answers and does not get there within the patience that
    `job` has in all its rounds; Wait where it does not answer or needs longer. `alive` is called
    between looks and may raise.
    """
    # Not at the start: it brings pandas into every process.
    from deployments.gateway.routes import RETRY_SECONDS

    client = GatewayClient()
    for poll in range(POLLS):
        try:
            reply = client.check(deployment.endpoint_name, deployment.pk)
        except GatewayAway as error:
            _mark_loading(deployment, {})
            raise Wait(f"Waits for the gateway: {error}", seconds=5) from error
        if reply.ok:
            return
        # The gateway may still remember a failure from before the files were put right.
        if reply.refused and poll * POLL_SECONDS > 1.5 * RETRY_SECONDS:
            raise Unfit(f"The gateway refuses the model: {reply.detail}")
        alive()
        time.sleep(POLL_SECONDS)
    if _loading_for(deployment, job) > PATIENCE:
        raise Unfit(f"The gateway did not load the model in {PATIENCE}.")
    raise Wait(f"The gateway is still loading the model: {reply.detail}", seconds=3)


def _loading_for(deployment: Deployment, job: int) -> timedelta:
    """How long the gateway, which answers, has been loading the model for this job."""
    mark = deployment.deployment_config.get(LOADING) or {}
    if mark.get("job") != job:
        mark = {"job": job, "since": timezone.now().isoformat()}
        _mark_loading(deployment, mark)
    return timezone.now() - datetime.fromisoformat(mark["since"])


def _mark_loading(deployment: Deployment, mark: dict[str, Any]) -> None:
    if mark == deployment.deployment_config.get(LOADING, {}):
        return
    deployment.deployment_config = {**deployment.deployment_config, LOADING: mark}
    deployment.save(update_fields=["deployment_config"])


def try_example(deployment: Deployment, files: Path) -> str:
    """Have the gateway answer the model's own input example; says what was checked.

    Raises Unfit when the model fails on it, Wait when the gateway does not answer.
    """
    if (body := input_example(files)) is None:
        return "Loaded from verified bytes; it brings no input example to try."
    client = GatewayClient(timeout=60)
    started = time.perf_counter()
    reply = _asked(lambda: client.try_example(deployment.endpoint_name, deployment.pk, body))
    milliseconds = 1000 * (time.perf_counter() - started)
    if not reply.ok:
        raise Unfit(f"The model fails on its own input example: {reply.detail}")
    count = len(reply.content.get("predictions", []))
    return (
        f"Loaded from verified bytes; answered its input example with {count} predictions in "
        f"{milliseconds:.0f} ms."
    )


def wait_until_served(deployment: Deployment) -> bool:
    """Whether the gateway answers callers with this deployment within some seconds."""
    role = "shadow" if deployment.is_shadow else "active"
    client = GatewayClient()
    for _ in range(POLLS):
        try:
            reply = client.version(deployment.endpoint_name)
        except GatewayAway:
            return False
        serving = (reply.content.get(role) or {}) if reply.ok else {}
        if serving.get("deployment") == deployment.pk:
            return True
        time.sleep(POLL_SECONDS)
    return False


def _asked(question: Callable[[], Reply]) -> Reply:
    try:
        return question()
    except GatewayAway as error:
        raise Wait(f"Waits for the gateway: {error}", seconds=5) from error
