"""The emergency stop: who, what it leaves behind, and what it tells."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User

from deployments.gateway.database import DatabaseRoutes
from deployments.gateway.routes import STOPPED, Endpoint
from deployments.models import ShadowWindow
from e2i_site.audit.choices import Outcome
from e2i_site.audit.registry import CheckContext, find
from e2i_site.core.errors import InvalidInput, Refused
from e2i_site.core.roles import Role
from e2i_site.jobs.models import Job
from e2i_site.notifications.models import InboxItem
from e2i_site.trail.models import TrailEntry
from registry.actions.emergency_stop import emergency_stop
from registry.choices import PromotionState, Stage, StageCause
from registry.models import RegistryEntry
from registry.wanted import wanted_aliases
from tests.factories.deployments import DeploymentFactory, ShadowWindowFactory
from tests.factories.people import UserFactory
from tests.factories.registry import EntryFactory, ModelFactory, PromotionFactory

# The gateway's reader opens and closes connections of its own, so rows must be committed.
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("quiet_broker")]


@pytest.fixture
def deployer(transactional_db: None) -> User:
    return UserFactory(username="dora", roles=["deployer"])


def in_stage(stage: str) -> RegistryEntry:
    return EntryFactory(model=ModelFactory(name="churn"), stage=stage)


def stop(entry: RegistryEntry, actor: User, **given: str) -> RegistryEntry:
    typed = {"reason": "It answers nonsense.", "confirmation": "churn", **given}
    return emergency_stop(entry=entry, actor=actor, **typed)


def test_production_stops_and_nothing_takes_its_place(deployer: User) -> None:
    UserFactory(username="odo", roles=["auditor"])
    UserFactory(username="vera", roles=["viewer"])
    entry = in_stage(Stage.PRODUCTION)
    deployment = DeploymentFactory(entry=entry)
    pending = PromotionFactory(entry=entry, to_stage=Stage.ARCHIVED)
    stop(entry, deployer)
    entry.refresh_from_db()
    deployment.refresh_from_db()
    pending.refresh_from_db()
    assert (entry.stage, entry.is_champion) == (Stage.ARCHIVED, False)
    assert (deployment.status, deployment.status_reason) == ("stopped", "It answers nonsense.")
    assert pending.state == PromotionState.SUPERSEDED
    change = entry.stage_changes.get()
    assert (change.cause, change.actor) == (StageCause.EMERGENCY, deployer)
    events = set(TrailEntry.objects.filter(actor=deployer).values_list("event", flat=True))
    assert events >= {
        "registry.version.emergency_stop",
        "registry.version.stage_changed",
        "deployments.deployment.stopped",
    }
    told = set(InboxItem.objects.values_list("user__username", flat=True))
    assert "odo" in told
    assert not told & {"vera", "dora"}
    assert Job.objects.get(kind="registry.carry_stage").payload == {"model": "churn"}


def test_the_gateway_is_told_why_nothing_answers(deployer: User) -> None:
    entry = in_stage(Stage.PRODUCTION)
    DeploymentFactory(entry=entry)
    stop(entry, deployer)
    targets = DatabaseRoutes().read()
    assert [each.role for each in targets] == [STOPPED]
    said = Endpoint("churn", wanted=tuple(targets)).why_silent()
    assert "churn version 1 was stopped in an emergency" in said


def test_a_shadow_stops_too_and_its_window_ends(deployer: User) -> None:
    entry = in_stage(Stage.SHADOW)
    window = ShadowWindowFactory(
        deployment=DeploymentFactory(entry=entry, strategy="shadow"), entry=entry
    )
    stop(entry, deployer)
    window = ShadowWindow.objects.get(pk=window.pk)
    assert (window.state, window.deployment.status) == ("closed", "stopped")
    (target,) = DatabaseRoutes().read()
    assert "No version is active" in Endpoint("churn", wanted=(target,)).why_silent()


def test_the_alias_of_what_stopped_is_taken_away(deployer: User) -> None:
    entry = in_stage(Stage.PRODUCTION)
    entry.stage_changes.create(
        from_stage="shadow", to_stage="production", cause="promotion", at=entry.created_at
    )
    stop(entry, deployer)
    assert wanted_aliases("churn") == {"production": None}


def test_the_audit_takes_the_step_for_legal(deployer: User) -> None:
    entry = in_stage(Stage.PRODUCTION)
    stop(entry, deployer)
    check = find("4.2b")
    assert check is not None
    outcomes = {each.outcome for each in check.function(CheckContext(check))}
    assert outcomes == {Outcome.PASS}


@pytest.mark.parametrize("role", Role.values)
def test_who_may(role: str) -> None:
    entry = in_stage(Stage.PRODUCTION)
    user = UserFactory(roles=[role])
    if role in (Role.DEPLOYER, Role.ADMINISTRATOR):
        stop(entry, user)
        return
    with pytest.raises(Refused, match="role deployer or administrator"):
        stop(entry, user)


def test_what_serves_nothing_is_not_stopped(deployer: User) -> None:
    with pytest.raises(Refused, match="nothing of it serves"):
        stop(in_stage(Stage.STAGING), deployer)


@pytest.mark.parametrize("given", [{"confirmation": "chum"}, {"reason": "  "}])
def test_what_is_typed_must_be_right(given: dict[str, str], deployer: User) -> None:
    entry = in_stage(Stage.PRODUCTION)
    with pytest.raises(InvalidInput):
        stop(entry, deployer, **given)
    entry.refresh_from_db()
    assert entry.stage == Stage.PRODUCTION
