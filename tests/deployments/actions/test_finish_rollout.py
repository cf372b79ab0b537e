"""A roll-out changes everything together, or nothing."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from deployments.actions.finish_rollout import activate, fail_rollout
from deployments.choices import DeploymentStatus
from deployments.models import Deployment, ShadowWindow
from e2i_site.core.errors import Conflict, Refused
from e2i_site.jobs.models import Job
from e2i_site.mlflow_connector import Rejected
from e2i_site.trail.models import TrailEntry
from registry.choices import PromotionState, Stage
from registry.models import PromotionPolicy, RegistryEntry
from tests.deployments.lifecycle import approve, run_jobs, short_policy
from tests.factories.deployments import DeploymentFactory, ShadowWindowFactory
from tests.factories.registry import EntryFactory, ModelFactory, digest

pytestmark = pytest.mark.django_db


@pytest.fixture
def policy(db: None) -> PromotionPolicy:
    return short_policy()


def version(policy: PromotionPolicy, stage: str, number: int = 1, **facts: object) -> RegistryEntry:
    facts.setdefault("model", ModelFactory(policy_name=policy.name))  # type: ignore[call-overload]
    entry: RegistryEntry = EntryFactory(model_version=number, stage=stage, **facts)
    return entry


def rolling_out(entry: RegistryEntry, to_stage: str, people: SimpleNamespace) -> Deployment:
    promotion = approve(entry, to_stage, people)
    assert promotion.state == PromotionState.APPROVED
    return Deployment.objects.get(promotion=promotion)


def proven(entry: RegistryEntry, policy: PromotionPolicy) -> ShadowWindow:
    """An open window of the version that passes."""
    from tests.factories.deployments import TrafficMinuteFactory

    window: ShadowWindow = ShadowWindowFactory(
        deployment__entry=entry,
        policy=policy,
        limits=policy.stages["production"]["shadow"],
    )
    TrafficMinuteFactory(deployment=window.deployment, durations=(3.0,) * 30)
    return window


def events() -> set[str]:
    found = TrailEntry.objects.filter(event__startswith="deployments.")
    return {event.removeprefix("deployments.") for event in found.values_list("event", flat=True)}


def test_an_approval_asks_for_the_roll_out(
    policy: PromotionPolicy, people: SimpleNamespace
) -> None:
    entry = version(policy, Stage.STAGING)
    deployment = rolling_out(entry, Stage.SHADOW, people)
    assert (deployment.status, deployment.strategy) == ("pending", "shadow")
    assert deployment.artifact_digest == entry.artifact_digest
    assert deployment.endpoint_name == entry.model_id
    assert deployment.deployed_by == people.reviewer
    job = Job.objects.get(kind="deployments.roll_out")
    assert job.subject == f"endpoint:{entry.model_id}"
    assert events() == {"deployment.requested"}


def test_into_the_shadow(policy: PromotionPolicy, people: SimpleNamespace) -> None:
    entry = version(policy, Stage.STAGING)
    deployment = activate(
        deployment=rolling_out(entry, Stage.SHADOW, people), actor=people.reviewer, health="fine"
    )
    entry.refresh_from_db()
    assert (deployment.status, entry.stage) == ("active", Stage.SHADOW)
    window = deployment.shadow_window
    assert window.limits == {**policy.stages["production"]["shadow"]}
    assert window.artifact_digest == entry.artifact_digest
    assert events() == {"deployment.requested", "deployment.activated", "window.opened"}


def test_into_production_over_another_version(
    policy: PromotionPolicy, people: SimpleNamespace
) -> None:
    model = ModelFactory(policy_name=policy.name)
    before = DeploymentFactory(entry=version(policy, Stage.PRODUCTION, 1, model=model))
    entry = version(policy, Stage.SHADOW, 2, model=model)
    window = proven(entry, policy)
    deployment = activate(
        deployment=rolling_out(entry, Stage.PRODUCTION, people), actor=None, health="fine"
    )
    for row in (before, before.entry, entry, window, window.deployment):
        row.refresh_from_db()
    assert (before.status, before.entry.stage) == ("draining", Stage.ARCHIVED)
    assert (deployment.status, entry.stage) == ("active", Stage.PRODUCTION)
    assert deployment.previous_deployment == before
    assert (window.state, window.verdict, window.deployment.status) == ("closed", "pass", "retired")
    assert {"deployment.superseded", "window.closed", "deployment.retired"} <= events()
    assert Job.objects.filter(kind="registry.carry_stage").exists()
    assert Job.objects.filter(kind="deployments.log_run").count() == 1


def test_files_that_changed_since_the_approval_change_nothing(
    policy: PromotionPolicy, people: SimpleNamespace
) -> None:
    model = ModelFactory(policy_name=policy.name)
    before = DeploymentFactory(entry=version(policy, Stage.PRODUCTION, 1, model=model))
    entry = version(policy, Stage.SHADOW, 2, model=model)
    window = proven(entry, policy)
    deployment = rolling_out(entry, Stage.PRODUCTION, people)
    RegistryEntry.objects.filter(pk=entry.pk).update(artifact_digest=digest("other"))
    with pytest.raises(Refused, match="not the ones that were approved"):
        activate(deployment=deployment, actor=None, health="fine")
    for row in (before, before.entry, entry, window, deployment):
        row.refresh_from_db()
    assert (before.status, before.entry.stage) == ("active", Stage.PRODUCTION)
    assert (deployment.status, entry.stage, window.state) == ("pending", Stage.SHADOW, "open")
    assert events() == {"deployment.requested"}


def test_a_failed_roll_out_leaves_the_stage(
    policy: PromotionPolicy, people: SimpleNamespace
) -> None:
    entry = version(policy, Stage.STAGING)
    deployment = rolling_out(entry, Stage.SHADOW, people)
    deployment = fail_rollout(deployment=deployment, actor=None, reason="It does not load.")
    entry.refresh_from_db()
    assert deployment.promotion is not None
    deployment.promotion.refresh_from_db()
    assert (deployment.status, entry.stage) == (DeploymentStatus.FAILED, Stage.STAGING)
    assert deployment.promotion.state == PromotionState.FAILED
    assert deployment.promotion.state_reason == "It does not load."
    assert "deployment.failed" in events()
    with pytest.raises(Conflict):
        activate(deployment=deployment, actor=None, health="fine")


def test_files_that_mlflow_does_not_show_are_waited_for(
    policy: PromotionPolicy, people: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until the mirror notices that MLflow hides the model, the refusal is all there is."""

    def refused(deployment: Deployment) -> None:
        raise Rejected("No.", status=403)

    monkeypatch.setattr("deployments.checks.package", refused)
    deployment = rolling_out(version(policy, Stage.STAGING), Stage.SHADOW, people)
    run_jobs("deployments.roll_out")
    assert deployment.promotion is not None
    deployment.promotion.refresh_from_db()
    assert deployment.promotion.state == PromotionState.APPROVED
    assert deployment.promotion.state_reason.startswith("Waits for MLflow")


def test_archiving_a_shadow_stops_it(policy: PromotionPolicy, people: SimpleNamespace) -> None:
    entry = version(policy, Stage.SHADOW)
    window = proven(entry, policy)
    approve(entry, Stage.ARCHIVED, people)
    window.refresh_from_db()
    window.deployment.refresh_from_db()
    assert (window.state, window.deployment.status) == ("closed", DeploymentStatus.RETIRED)


def test_an_endpoint_of_another_model_is_refused(
    policy: PromotionPolicy, people: SimpleNamespace
) -> None:
    DeploymentFactory(endpoint_name="a-b")
    entry = version(policy, Stage.STAGING, model=ModelFactory(name="a b", policy_name=policy.name))
    with pytest.raises(Refused, match="belongs to the model"):
        approve(entry, Stage.SHADOW, people)
