"""How long a roll-out and a rollback wait for the gateway to have the model in memory."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from deployments import checks
from deployments.choices import DeploymentStatus
from deployments.gateway.client import GatewayAway, Reply
from deployments.models import Deployment
from deployments.store import ArtifactStore
from e2i_site.jobs.enqueue import enqueue
from e2i_site.jobs.handlers import Wait
from registry.choices import Stage
from tests.deployments.conftest import SavedModels
from tests.deployments.lifecycle import run_jobs
from tests.factories.deployments import DeploymentFactory
from tests.factories.registry import EntryFactory, ModelFactory

pytestmark = pytest.mark.django_db(transaction=True)

OVERDUE = checks.PATIENCE + timedelta(minutes=1)


class Loading:
    """A gateway that answers, and loads for ever; or does not answer."""

    away = False

    def check(self, endpoint: str, deployment: int) -> Reply:
        if self.away:
            raise GatewayAway("The gateway does not answer.")
        return Reply(False, False, "It is being loaded.", {})


@pytest.fixture(autouse=True)
def gateway(monkeypatch: pytest.MonkeyPatch) -> Loading:
    found = Loading()
    monkeypatch.setattr(checks, "GatewayClient", lambda: found)
    monkeypatch.setattr(checks, "POLLS", 1)
    monkeypatch.setattr(checks, "POLL_SECONDS", 0)
    return found


def wait(deployment: Deployment, job: int = 1) -> None:
    deployment = Deployment.objects.get(pk=deployment.pk)
    checks.wait_until_loaded(deployment, job=job, alive=lambda: None)


def let_time_pass(deployment: Deployment) -> None:
    deployment.refresh_from_db()
    mark = deployment.deployment_config["loading"]
    mark["since"] = (timezone.now() - OVERDUE).isoformat()
    deployment.save()


def test_what_waited_for_something_else_has_its_whole_time_to_load(gateway: Loading) -> None:
    deployment = DeploymentFactory(status=DeploymentStatus.DEPLOYING)
    Deployment.objects.update(created_at=timezone.now() - timedelta(hours=2))
    with pytest.raises(Wait, match="still loading"):
        wait(deployment)
    let_time_pass(deployment)
    with pytest.raises(Wait, match="still loading"):
        wait(deployment, job=2)
    let_time_pass(deployment)
    gateway.away = True
    with pytest.raises(Wait, match="Waits for the gateway"):
        wait(deployment, job=2)
    gateway.away = False
    with pytest.raises(Wait, match="still loading"):
        wait(deployment, job=2)
    let_time_pass(deployment)
    with pytest.raises(checks.Unfit, match="did not load the model in 0:10:00"):
        wait(deployment, job=2)


def test_a_rollback_does_not_wait_for_ever(
    store: ArtifactStore, saved: SavedModels, settings: Any
) -> None:
    settings.ARTIFACT_STORE = store.path("0" * 64).parent.parent
    model = ModelFactory()
    facts = {"artifact_digest": saved.champion.digest}
    before = DeploymentFactory(
        entry=EntryFactory(model=model, stage=Stage.ARCHIVED, **facts),
        status=DeploymentStatus.RETIRED,
        **facts,
    )
    active = DeploymentFactory(
        entry=EntryFactory(model=model, stage=Stage.PRODUCTION), previous_deployment=before
    )
    enqueue("deployments.roll_back", payload={"deployment": active.pk, "reason": "Errors."})
    (job,) = run_jobs("deployments.roll_back")
    assert job.state == "waiting"
    let_time_pass(before)
    (job,) = run_jobs("deployments.roll_back")
    assert (job.state, job.attempt) == ("failed", 1)
    assert "did not load the model" in job.message
    active.refresh_from_db()
    assert active.status == DeploymentStatus.ACTIVE
