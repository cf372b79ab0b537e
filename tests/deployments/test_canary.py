"""A canary's way through its steps, by what was measured; with a database and no gateway."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import IntegrityError
from django.utils import timezone

from deployments import rollout
from deployments.actions.canary import abort_canary, begin_canary, pause_canary, resume_canary
from deployments.canary import canary_limits
from deployments.choices import CanaryState, DeploymentStatus, Strategy
from deployments.gateway.database import DatabaseRoutes
from deployments.gateway.routes import ACTIVE, CANARY, SHADOW, STANDBY
from deployments.models import Canary, Deployment
from deployments.queries import Traffic
from e2i_site.core.errors import Conflict, InvalidInput, Refused
from e2i_site.jobs.models import Job
from e2i_site.trail.models import TrailEntry
from registry.actions.emergency_stop import emergency_stop
from registry.choices import PromotionState, Stage
from registry.models import RegisteredModel, RegistryEntry
from tests.deployments.lifecycle import approve, run_jobs, short_policy
from tests.factories.deployments import (
    CanaryFactory,
    DeploymentFactory,
    ShadowWindowFactory,
    TrafficMinuteFactory,
)
from tests.factories.registry import EntryFactory, ModelFactory

# A job renews its lease from a thread of its own, so its rows must be committed.
pytestmark = pytest.mark.django_db(transaction=True)
LIMITS: dict[str, Any] = {"steps": [10, 50], "minutes": 0, "requests": 60}


@dataclass
class Way:
    """A canary at its first share, and what it is beside."""

    champion: Deployment
    deployment: Deployment
    canary: Canary
    people: SimpleNamespace
    minutes: int = 20

    @property
    def entry(self) -> RegistryEntry:
        return self.deployment.entry

    def answers(self, requests: int = 60, *, errors: int = 0, ms: float = 2.0) -> None:
        """Traffic of the canary in a minute of its own."""
        self._minute(self.deployment, requests, errors, ms)

    def champion_answers(self, requests: int = 60, *, ms: float = 2.0) -> None:
        self._minute(self.champion, requests, 0, ms)

    def _minute(self, deployment: Deployment, requests: int, errors: int, ms: float) -> None:
        self.minutes -= 1
        TrafficMinuteFactory(
            deployment=deployment,
            minutes_ago=-self.minutes,  # after the step began, whenever that is
            durations=(ms,) * requests,
            errors=errors,
        )

    def look(self) -> Job:
        """One round of the roll-out's job."""
        (job,) = run_jobs("deployments.roll_out")
        for row in (self.champion, self.deployment, self.canary, self.entry):
            row.refresh_from_db()
        return job

    def promotion(self) -> tuple[str, str]:
        assert self.deployment.promotion is not None
        self.deployment.promotion.refresh_from_db()
        return self.deployment.promotion.state, self.deployment.promotion.state_reason


@pytest.fixture
def way(people: SimpleNamespace, quiet_broker: None) -> Way:
    policy = short_policy(canary=LIMITS, p99_ms=150)
    model = ModelFactory(policy_name=policy.name)
    champion = DeploymentFactory(entry=EntryFactory(model=model, stage=Stage.PRODUCTION))
    entry = EntryFactory(model=model, stage=Stage.SHADOW, model_version=2)
    window = ShadowWindowFactory(
        deployment__entry=entry, policy=policy, limits=policy.stages["production"]["shadow"]
    )
    TrafficMinuteFactory(deployment=window.deployment, durations=(3.0,) * 30)
    promotion = approve(entry, Stage.PRODUCTION, people)
    deployment = Deployment.objects.get(promotion=promotion)
    assert deployment.strategy == Strategy.CANARY
    Deployment.objects.filter(pk=deployment.pk).update(status=DeploymentStatus.DEPLOYING)
    limits = canary_limits(promotion)
    assert limits is not None
    canary = begin_canary(deployment=deployment, limits=limits, actor=None, health="Loaded.")
    deployment.refresh_from_db()
    return Way(champion, deployment, canary, people)


def roles() -> dict[int, tuple[str, int]]:
    return {each.deployment: (each.role, each.share) for each in DatabaseRoutes().read()}


def test_it_widens_as_far_as_it_has_shown(way: Way) -> None:
    job = way.look()
    assert job.state == "waiting"
    assert way.promotion()[1] == "With 10 % of the callers: so far 0 of 60 requests."
    assert roles()[way.deployment.pk] == (CANARY, 10)

    way.answers(59)
    way.look()
    assert way.deployment.canary_share == 10
    way.answers(1)
    job = way.look()
    assert (job.state, way.deployment.canary_share) == ("waiting", 50)
    assert "50 % of the callers: so far 0 of 60" in way.promotion()[1], "each step counts anew"
    assert way.entry.stage == Stage.SHADOW

    way.answers(60, errors=1)
    job = way.look()
    assert job.state == "succeeded", job.message
    assert way.promotion()[0] == PromotionState.APPLIED
    assert way.entry.stage == Stage.PRODUCTION
    assert (way.deployment.status, way.deployment.canary_share) == ("active", 0)
    assert way.deployment.previous_deployment == way.champion
    assert way.champion.status == DeploymentStatus.DRAINING
    assert roles()[way.deployment.pk] == (ACTIVE, 0)
    assert way.canary.state == CanaryState.DONE
    kept = [(each["share"], each["requests"], each["errors"]) for each in way.canary.measured]
    assert kept == [(10, 60, 0), (50, 60, 1)]
    assert "10, 50 % of the callers: 120 requests, 1 failed." in way.deployment.health_detail
    shares = TrailEntry.objects.filter(event__startswith="deployments.canary").order_by("pk")
    assert [each.event.rsplit(".")[-1] for each in shares] == ["begun", "widened"]


def test_each_step_takes_its_time(way: Way) -> None:
    Canary.objects.update(limits={**LIMITS, "minutes": 10})
    way.answers(1000)
    way.look()
    assert way.deployment.canary_share == 10
    assert way.promotion()[1].endswith("so far 0 of 10 minutes.")


def sick(way: Way) -> str:
    Deployment.objects.filter(pk=way.deployment.pk).update(
        health_failures=3, health_detail="It answered 500."
    )
    return "Health checks failed 3 times in a row: It answered 500."


def erring(way: Way) -> str:
    way.answers(50, errors=3)
    return "3 of the last 50 requests failed (6.0%)."


def erring_lately(way: Way) -> str:
    Canary.objects.update(
        step_began_at=timezone.now() - timedelta(hours=1), limits={**LIMITS, "minutes": 120}
    )
    TrafficMinuteFactory(deployment=way.deployment, durations=(2.0,) * 5000, minutes_ago=30)
    way.answers(60, errors=60)
    return "60 of the last 60 requests failed (100.0%)."


def slow(way: Way) -> str:
    way.champion_answers(ms=2.0)
    way.answers(55, ms=400.0)
    return "over twice the 2 ms"


def alone(way: Way) -> str:
    Deployment.objects.filter(pk=way.champion.pk).update(status=DeploymentStatus.STOPPED)
    return "does not any more"


@pytest.mark.parametrize("harm", [sick, erring, erring_lately, slow, alone])
@pytest.mark.parametrize("paused", [False, True])
def test_what_was_measured_ends_it(way: Way, harm: Callable[[Way], str], paused: bool) -> None:
    if paused:
        pause_canary(canary=way.canary, actor=way.people.deployer, reason="A look.")
    reason = harm(way)
    serves = way.champion.status
    way.look()
    state, said = way.promotion()
    assert state == PromotionState.FAILED
    assert said.startswith("With 10 % of the callers: ")
    assert reason in said
    assert (way.deployment.status, way.deployment.canary_share) == ("failed", 0)
    assert way.canary.state == CanaryState.ENDED
    assert len(way.canary.measured) == 1
    assert way.entry.stage == Stage.SHADOW
    assert way.deployment.pk not in roles()
    if harm is not alone:
        assert way.champion.status == serves == DeploymentStatus.ACTIVE
        assert roles()[way.champion.pk] == (ACTIVE, 0)


@pytest.mark.parametrize("requests", [49, 20])
def test_few_requests_end_nothing_until_the_step_is_complete(way: Way, requests: int) -> None:
    way.answers(requests, errors=requests)
    way.look()
    assert way.deployment.canary_share == 10
    Canary.objects.update(limits={**LIMITS, "requests": requests})
    way.look()
    assert way.promotion()[0] == PromotionState.FAILED


def test_people_pause_resume_and_abort_it(way: Way) -> None:
    deployer = way.people.deployer
    for act in (pause_canary, abort_canary):
        with pytest.raises(Refused, match="needs the role"):
            act(canary=way.canary, actor=way.people.requester, reason="No.")
        with pytest.raises(InvalidInput, match="Say why"):
            act(canary=way.canary, actor=deployer, reason=" ")
    with pytest.raises(Refused, match="The canary is running"):
        resume_canary(canary=way.canary, actor=deployer, reason="Go.")

    pause_canary(canary=way.canary, actor=deployer, reason="Who are these callers?")
    way.answers(100)
    way.look()
    assert way.deployment.canary_share == 10
    assert way.promotion()[1] == "Paused at 10 % of the callers: Who are these callers?"
    resume_canary(canary=way.canary, actor=deployer, reason="Known ones.")
    way.look()
    assert way.deployment.canary_share == 50

    abort_canary(canary=way.canary, actor=deployer, reason="Complaints.")
    assert roles().get(way.deployment.pk) is None
    job = way.look()
    assert job.result["status"] == DeploymentStatus.FAILED
    assert way.promotion() == (PromotionState.FAILED, "Aborted: Complaints.")
    with pytest.raises(Refused, match="The canary is ended"):
        pause_canary(canary=way.canary, actor=deployer, reason="Too late.")


def test_while_mlflow_hides_the_model_it_stays_at_its_share(way: Way) -> None:
    """What is measured ends it all the same."""
    RegisteredModel.objects.update(hidden_since=timezone.now())
    way.answers(60)
    way.look()
    assert way.deployment.canary_share == 10
    assert way.promotion()[1].startswith("Waits for MLflow to show the model")
    way.answers(60, errors=60)
    way.look()
    assert way.promotion()[0] == PromotionState.FAILED


@pytest.mark.parametrize("step", [0, 1])
def test_who_pauses_it_just_when_it_would_go_on_is_not_too_late(
    way: Way, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    """Neither before it widens nor before it switches."""
    judge = rollout.still_missing

    def pause_then(canary: Canary, traffic: Traffic, now: datetime) -> str:
        missing = judge(canary, traffic, now)
        if canary.step == step and not missing and canary.state == CanaryState.RUNNING:
            pause_canary(canary=canary, actor=way.people.deployer, reason="Wait.")
        return missing

    monkeypatch.setattr(rollout, "still_missing", pause_then)
    for _ in range(step + 1):
        way.answers(60)
        job = way.look()
    assert job.state == "waiting"
    assert way.deployment.canary_share == LIMITS["steps"][step]
    assert way.promotion() == (
        PromotionState.APPROVED,
        f"Paused at {LIMITS['steps'][step]} % of the callers: Wait.",
    )
    assert len(way.canary.measured) == step


def test_an_emergency_stop_ends_it_at_once(way: Way) -> None:
    emergency_stop(
        entry=way.entry,
        actor=way.people.administrator,
        reason="It answers nonsense.",
        confirmation=way.entry.model_id,
    )
    assert way.deployment.pk not in roles()
    assert CANARY not in {role for role, _ in roles().values()}
    job = way.look()
    assert job.result["status"] == DeploymentStatus.FAILED
    assert way.champion.status == DeploymentStatus.ACTIVE


def test_who_moves_it_twice_moves_it_once(way: Way) -> None:
    from deployments.actions.canary import widen_canary

    stale = Canary.objects.get(pk=way.canary.pk)
    widen_canary(canary=way.canary, actor=None)
    with pytest.raises(Conflict):
        widen_canary(canary=stale, actor=None)
    assert Canary.objects.get().step == 1


def test_past_the_gates_there_is_none(way: Way) -> None:
    promotion = way.deployment.promotion
    assert promotion is not None
    promotion.past_gates = True
    assert canary_limits(promotion) is None


def test_an_endpoint_has_one_canary(way: Way) -> None:
    with pytest.raises(IntegrityError):
        CanaryFactory(deployment__entry=way.champion.entry)
    with pytest.raises(IntegrityError):
        Deployment.objects.filter(pk=way.champion.pk).update(canary_share=5)


def test_the_shadow_goes_on_beside_it(way: Way) -> None:
    found = {role for role, _ in roles().values()}
    assert found == {ACTIVE, CANARY, SHADOW}
    assert STANDBY not in found
