"""Past the gates into production through the usual roll-out, then an emergency stop; for real."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from django.conf import settings as django_settings

from deployments.actions.finish_rollout import activate, fail_rollout
from deployments.choices import DeploymentStatus
from deployments.store import ArtifactStore
from e2i_site.audit.choices import Outcome
from e2i_site.audit.registry import CheckContext, find
from e2i_site.core.errors import Conflict, Refused
from registry.actions.break_glass import break_glass
from registry.actions.emergency_stop import emergency_stop
from registry.actions.request_promotion import request_promotion
from registry.choices import PromotionState, Stage
from tests.deployments.conftest import SavedModels
from tests.deployments.gateway.process import running_gateway
from tests.deployments.lifecycle import entry_in, run_jobs, short_policy
from tests.factories.people import PASSWORD
from tests.factories.registry import ModelFactory
from tests.waiting import wait_for

JSON = {"Content-Type": "application/json"}
TYPED = {"confirmation": "urgent", "reason": "Callers get wrong answers; this cannot wait."}


@pytest.fixture
def gateway(database_url: str, settings: Any, saved: SavedModels) -> Iterator[str]:
    shutil.rmtree(django_settings.ARTIFACT_STORE, ignore_errors=True)
    store = ArtifactStore(django_settings.ARTIFACT_STORE)
    store.fetch(saved.champion.digest, lambda target: shutil.copytree(saved.champion.path, target))
    with running_gateway(database_url) as url:
        settings.GATEWAY_URL = url
        yield url


@pytest.mark.once
def test_past_the_gates_and_stopped(gateway: str, people: Any, saved: SavedModels) -> None:
    model = ModelFactory(name="urgent", policy_name=short_policy().name)
    entry = entry_in(Stage.SHADOW, model, saved.champion)
    promotion = request_promotion(
        entry=entry, to_stage="production", reason="Fix.", requester=people.requester
    )
    promotion = break_glass(
        promotion=promotion, actor=people.administrator, password=PASSWORD, **TYPED
    )
    assert promotion.state == PromotionState.APPROVED, "the roll-out decides"
    (job,) = run_jobs("deployments.roll_out")
    promotion.refresh_from_db()
    assert promotion.state == PromotionState.APPLIED, job.message
    deployment = promotion.deployments.get()
    assert deployment.deployed_by == people.administrator
    url = f"{gateway}/urgent/invocations"

    def ask() -> httpx.Response:
        return httpx.post(url, content=saved.body(), headers=JSON, timeout=10)

    assert wait_for(lambda: ask().status_code == 200)
    check = find("4.3")
    assert check is not None
    assert Outcome.FAIL not in {each.outcome for each in check.function(CheckContext(check))}

    emergency_stop(entry=entry, actor=people.deployer, **TYPED)
    began = time.monotonic()
    answer = wait_for(lambda: (reply := ask()).status_code == 503 and reply, seconds=10)
    assert time.monotonic() - began < 5
    assert "urgent version 1 was stopped in an emergency" in answer.json()["detail"]
    assert httpx.get(f"{gateway}/urgent/ping").status_code == 503


@pytest.mark.django_db
def test_a_stop_ends_a_roll_out_that_is_under_way(people: Any, saved: SavedModels) -> None:
    model = ModelFactory(name="urgent", policy_name=short_policy().name)
    entry = entry_in(Stage.SHADOW, model, saved.champion)
    promotion = request_promotion(
        entry=entry, to_stage="production", reason="Fix.", requester=people.requester
    )
    break_glass(promotion=promotion, actor=people.administrator, password=PASSWORD, **TYPED)
    deployment = promotion.deployments.get()
    emergency_stop(entry=entry, actor=people.deployer, **TYPED)
    with pytest.raises(Conflict):
        activate(deployment=deployment, actor=None, health="It answered.")
    fail_rollout(deployment=deployment, actor=None, reason="It was stopped.")
    entry.refresh_from_db()
    promotion.refresh_from_db()
    deployment.refresh_from_db()
    assert (entry.stage, deployment.status) == (Stage.ARCHIVED, DeploymentStatus.FAILED)
    assert (promotion.state, promotion.past_gates) == (PromotionState.SUPERSEDED, True)


@pytest.mark.django_db
def test_other_bytes_never_pass_though_the_glass_is_broken(people: Any, saved: SavedModels) -> None:
    model = ModelFactory(name="urgent", policy_name=short_policy().name)
    entry = entry_in(Stage.SHADOW, model, saved.champion)
    promotion = request_promotion(
        entry=entry, to_stage="production", reason="Fix.", requester=people.requester
    )
    break_glass(promotion=promotion, actor=people.administrator, password=PASSWORD, **TYPED)
    type(entry).objects.filter(pk=entry.pk).update(artifact_digest=saved.challenger.digest)
    with pytest.raises(Refused, match="not the ones that were approved"):
        activate(deployment=promotion.deployments.get(), actor=None, health="It answered.")
    entry.refresh_from_db()
    assert entry.stage == Stage.SHADOW
