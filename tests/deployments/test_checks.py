"""How long a roll-out and a rollback wait for the gateway, and until when they can be cancelled."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from deployments import checks
from deployments.choices import DeploymentStatus
from deployments.gateway.client import GatewayAway, Reply
from deployments.models import Deployment
from deployments.rollback import roll_back
from deployments.store import ArtifactStore
from e2i_site.jobs.enqueue import enqueue
from e2i_site.jobs.handlers import Wait
from e2i_site.jobs.models import Job
from e2i_site.jobs.runner import JobContext, claim
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


@pytest.fixture
def active(store: ArtifactStore, saved: SavedModels, settings: Any) -> Deployment:
    """It has a retired deployment to go back to, whose files are in the store."""
    settings.ARTIFACT_STORE = store.path("0" * 64).parent.parent
    model = ModelFactory()
    facts = {"artifact_digest": saved.champion.digest}
    before = DeploymentFactory(
        entry=EntryFactory(model=model, stage=Stage.ARCHIVED, **facts),
        status=DeploymentStatus.RETIRED,
        **facts,
    )
    entry = EntryFactory(model=model, stage=Stage.PRODUCTION)
    found: Deployment = DeploymentFactory(entry=entry, previous_deployment=before)
    return found


def ask_for_rollback(active: Deployment) -> Job:
    payload = {"deployment": active.pk, "reason": "Errors."}
    return enqueue("deployments.roll_back", payload=payload)


def test_who_cancels_after_the_switch_comes_too_late(
    active: Deployment, gateway: Loading, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = ask_for_rollback(active)
    context = JobContext(*claim(job.pk))

    def cancel_meanwhile(_: Deployment) -> bool:
        context._stop.set()
        return True

    monkeypatch.setattr(checks, "wait_until_loaded", lambda *_, **__: None)
    monkeypatch.setattr(checks, "try_example", lambda *_: "It answers.")
    monkeypatch.setattr(checks, "wait_until_served", cancel_meanwhile)
    assert roll_back(context) == {
        "deployment": active.pk,
        "active": active.previous_deployment_id,
    }
    active.refresh_from_db()
    assert active.status == DeploymentStatus.ROLLED_BACK


def test_a_rollback_does_not_wait_for_ever(active: Deployment) -> None:
    ask_for_rollback(active)
    (job,) = run_jobs("deployments.roll_back")
    assert job.state == "waiting"
    assert active.previous_deployment is not None
    let_time_pass(active.previous_deployment)
    (job,) = run_jobs("deployments.roll_back")
    assert (job.state, job.attempt) == ("failed", 1)
    assert "did not load the model" in job.message
    active.refresh_from_db()
    assert active.status == DeploymentStatus.ACTIVE
