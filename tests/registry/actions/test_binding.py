"""An approval is for exact bytes, evidence and rules: a change voids it, and says so."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from deployments.actions.finish_rollout import fail_rollout
from deployments.models import Deployment
from e2i_site.core.errors import Conflict, Refused
from e2i_site.jobs.enqueue import enqueue
from e2i_site.jobs.runner import run as run_job
from e2i_site.trail.models import TrailEntry
from registry.actions.apply_promotion import apply_promotion
from registry.actions.publish_policy import publish_policy
from registry.actions.refresh_gates import refresh_gates
from registry.actions.request_promotion import request_promotion
from registry.actions.review_promotion import review_promotion
from registry.choices import PromotionState, Stage
from registry.document.write import written
from registry.emergency_policies import may_break_glass
from registry.models import (
    Promotion,
    PromotionPolicy,
    RegisteredModel,
    RegistryEntry,
    Review,
    StageChange,
)
from tests.factories.people import PASSWORD, UserFactory
from tests.factories.registry import STAGES, EntryFactory, ModelFactory, PolicyFactory

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("quiet_broker")]
VOIDED = "registry.promotion.approvals_voided"


def _promotion(approvals: int) -> Promotion:
    """A version in shadow that asks for production."""
    stages = deepcopy(STAGES)
    stages["production"]["approvals"]["count"] = approvals
    stages["production"]["shadow"] = {
        "hours": 24, "requests": 1000, "error_rate": 0.01, "p99_ms": 150, "alpha": 0.05,
        "sequential": True,
    }  # fmt: skip
    PolicyFactory(name="light", stages=stages)
    entry = EntryFactory(
        model=ModelFactory(name="churn", policy_name="light"),
        stage=Stage.SHADOW,
        artifact_digest="a" * 64,
    )
    return request_promotion(
        entry=entry,
        to_stage="production",
        reason="Better.",
        requester=UserFactory(roles=["requester"]),
    )


def _approve(promotion: Promotion, reviewer: User | None = None) -> Review:
    promotion.refresh_from_db()
    return review_promotion(
        promotion=promotion,
        reviewer=reviewer or UserFactory(username="amina", roles=["approver"]),
        decision="approve",
        reason="I read it.",
        revision=promotion.revision,
        password=PASSWORD,
    )


def _a_byte(promotion: Promotion) -> None:
    """One other byte in the files is another digest."""
    RegistryEntry.objects.filter(pk=promotion.entry_id).update(artifact_digest="b" + "a" * 63)


def _a_gates_evidence(promotion: Promotion) -> None:
    entry = promotion.entry
    entry.signature["inputs"][0]["name"] = "years"
    RegistryEntry.objects.filter(pk=entry.pk).update(signature=entry.signature)


def _an_outcome(promotion: Promotion) -> None:
    RegistryEntry.objects.filter(pk=promotion.entry_id).update(signature={})


def _a_policy_line(promotion: Promotion) -> None:
    stages = deepcopy(promotion.policy.stages)
    stages["production"]["approvals"]["count"] += 1
    PolicyFactory(name="light", version=2, stages=stages)


CHANGES = [
    (_a_byte, "Files: aaaaaaaaaaaa → baaaaaaaaaaa."),
    (_a_gates_evidence, "Signature: still passed; evidence "),
    (_an_outcome, "Signature: Passed → Failed"),
    (_a_policy_line, "Policy: light v1 → light v2. Policy line approvals.count: "),
]


@pytest.mark.parametrize(("change", "says"), CHANGES)
def test_one_change_voids_an_approval_and_the_page_names_it(change: Any, says: str) -> None:
    promotion = _promotion(approvals=2)
    review = _approve(promotion)
    change(promotion)
    refresh_gates(promotion=promotion)
    review.refresh_from_db()
    assert says in review.void_reason
    promotion.refresh_from_db()
    assert (promotion.state, promotion.revision) == (PromotionState.OPEN, 2)
    entry = TrailEntry.objects.get(event=VOIDED)
    assert entry.old["approved_by"] == ["amina"]
    assert says in entry.reason
    page = _page(promotion, UserFactory(roles=["viewer"]))
    assert says in page
    assert "Counts no more" in page


@pytest.mark.parametrize(("change", "says"), CHANGES)
def test_one_change_after_the_decision_stops_it_from_being_carried_out(
    change: Any, says: str
) -> None:
    promotion = _promotion(approvals=1)
    review = _approve(promotion)
    promotion.refresh_from_db()
    assert promotion.state == PromotionState.APPROVED
    change(promotion)
    with pytest.raises(Refused, match=r"What was approved is no longer so\.") as refused:
        apply_promotion(promotion=promotion, actor=None)
    assert says in str(refused.value)
    assert not StageChange.objects.filter(to_stage="production").exists()
    deployment = Deployment.objects.get(promotion=promotion)
    fail_rollout(deployment=deployment, actor=None, reason=str(refused.value))
    review.refresh_from_db()
    promotion.refresh_from_db()
    assert promotion.state == PromotionState.FAILED
    assert says in review.void_reason
    assert TrailEntry.objects.filter(event=VOIDED).count() == 1
    assert says in _page(promotion, UserFactory(roles=["viewer"]))


def test_what_did_not_change_is_carried_out() -> None:
    promotion = _promotion(approvals=1)
    _approve(promotion)
    # A new version of the policy that says the same about this stage changes nothing.
    stages = deepcopy(promotion.policy.stages)
    stages["staging"]["approvals"]["count"] = 3
    PolicyFactory(name="light", version=2, stages=stages)
    apply_promotion(promotion=promotion, actor=None)
    promotion.refresh_from_db()
    assert promotion.state == PromotionState.APPLIED
    assert promotion.policy == PromotionPolicy.objects.get(name="light", version=1)


def test_who_approved_approves_again_when_the_evidence_is_what_it_was() -> None:
    promotion = _promotion(approvals=2)
    entry, given = RegistryEntry.objects.filter(pk=promotion.entry_id), promotion.entry.signature
    first = _approve(promotion)
    entry.update(signature={})
    refresh_gates(promotion=promotion)
    entry.update(signature=given)
    refresh_gates(promotion=promotion)
    again = _approve(promotion, first.reviewer)
    assert again.binding_hash == first.binding_hash
    assert promotion.reviews.get(void_reason="") == again
    with pytest.raises(Conflict, match="approved it already"):
        _approve(promotion, first.reviewer)
    _approve(promotion, UserFactory(roles=["approver"]))
    promotion.refresh_from_db()
    assert promotion.state == PromotionState.APPROVED


def test_what_was_deleted_in_mlflow_is_neither_approved_nor_carried_out() -> None:
    promotion = _promotion(approvals=2)
    entry = RegistryEntry.objects.filter(pk=promotion.entry_id)
    first = _approve(promotion)
    entry.update(deleted_in_mlflow=True)
    second = UserFactory(roles=["approver"])
    with pytest.raises(Refused, match="deleted in MLflow"):
        _approve(promotion, second)
    assert promotion.reviews.get() == first
    entry.update(deleted_in_mlflow=False)
    _approve(promotion, second)
    entry.update(deleted_in_mlflow=True)
    with pytest.raises(Refused, match="deleted in MLflow"):
        apply_promotion(promotion=promotion, actor=None)
    assert entry.get().stage == Stage.SHADOW


def test_what_mlflow_hides_waits_with_its_approvals() -> None:
    promotion = _promotion(approvals=2)
    model = RegisteredModel.objects.filter(name=promotion.entry.model_id)
    first = _approve(promotion)
    model.update(hidden_since=timezone.now())
    _look_again(promotion, first)
    with pytest.raises(Refused, match="hides this model"):
        request_promotion(
            entry=promotion.entry,
            to_stage="archived",
            reason="Old.",
            requester=UserFactory(roles=["requester"]),
        )
    second = UserFactory(roles=["approver"])
    with pytest.raises(Refused, match="hides this model"):
        _approve(promotion, second)
    assert "hides this model" in may_break_glass(second, promotion).reason
    assert "hides this model" in _page(promotion, second)
    model.update(hidden_since=None)
    _approve(promotion, second)
    model.update(hidden_since=timezone.now())
    with pytest.raises(Refused, match="hides this model"):
        apply_promotion(promotion=promotion, actor=None)
    promotion.refresh_from_db()
    assert promotion.state == PromotionState.APPROVED
    assert not promotion.reviews.exclude(void_reason="").exists()


def test_evidence_of_a_gate_that_is_no_longer_asked_for_goes() -> None:
    promotion = _promotion(approvals=2)
    review = _approve(promotion)
    stages = deepcopy(promotion.policy.stages)
    stages["production"]["gates"] = [{"id": "artifact_digest"}]
    PolicyFactory(name="light", version=2, stages=stages)
    refresh_gates(promotion=promotion)
    assert [gate.gate_id for gate in promotion.gates.all()] == ["artifact_digest"]
    review.refresh_from_db()
    assert "Signature: no longer asked for." in review.void_reason
    assert [gate for gate, *_ in review.statement["bound"]["gates"]] == [
        "artifact_digest",
        "signature",
    ]


def test_a_published_policy_voids_only_what_it_judges_otherwise() -> None:
    promotion = _promotion(approvals=2)
    review = _approve(promotion)
    promotion.refresh_from_db()
    before = (promotion.revision, promotion.binding_hash)
    stages = deepcopy(promotion.policy.stages)
    _publish({**stages, "staging": {"approvals": {"count": 3, "roles": ["approver"]}}}, "v2")
    _look_again(promotion, review)
    assert (promotion.revision, promotion.binding_hash) == before
    assert (review.void_reason, promotion.policy.version) == ("", 1)
    assert not TrailEntry.objects.filter(event=VOIDED).exists()

    production = {**stages["production"], "expires_after_days": 9}
    _publish({**stages, "production": production}, "v3")
    _look_again(promotion, review)
    assert (promotion.revision, promotion.policy.version) == (before[0] + 1, 3)
    assert review.void_reason == (
        "Policy: light v1 → light v3. Policy line expires_after_days: nothing → 9."
    )
    assert TrailEntry.objects.get(event=VOIDED).old["approved_by"] == ["amina"]


def _publish(stages: dict[str, Any], reason: str) -> None:
    publish_policy(
        source=written({"name": "light", "stages": stages}),
        reason=reason,
        actor=UserFactory(roles=["administrator"]),
    )


def _look_again(promotion: Promotion, review: Review) -> None:
    """The job that keeps evidence fresh comes by."""
    run_job(enqueue("registry.refresh_promotions").pk)
    promotion.refresh_from_db()
    review.refresh_from_db()


def _page(promotion: Promotion, user: User) -> str:
    client = Client()
    client.force_login(user)
    return client.get(promotion.get_absolute_url()).content.decode()
