"""From a request to a decision: who may, on what evidence, and what changes."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection

from e2i_site.core.errors import Conflict, E2IError, InvalidInput, Refused
from e2i_site.jobs.models import Job
from e2i_site.trail.models import TrailEntry
from registry.actions.publish_policy import assign_policy
from registry.actions.refresh_gates import refresh_gates
from registry.actions.request_promotion import request_promotion
from registry.actions.review_promotion import review_promotion
from registry.actions.withdraw_promotion import resubmit_promotion, withdraw_promotion
from registry.choices import ALLOWED_PROMOTIONS, PromotionState, Stage
from registry.models import Promotion, RegisteredModel, RegistryEntry, StageChange
from registry.policies import is_legal
from tests.factories.people import PASSWORD, UserFactory
from tests.factories.registry import STAGES, EntryFactory, ModelFactory, PolicyFactory

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("quiet_broker")]


@pytest.fixture
def model() -> RegisteredModel:
    PolicyFactory(name="light", stages=STAGES)
    return ModelFactory(policy_name="light")


@pytest.fixture
def entry(model: RegisteredModel) -> RegistryEntry:
    return EntryFactory(model=model)


@pytest.fixture
def requester() -> User:
    return UserFactory(roles=["requester"])


@pytest.fixture
def reviewer() -> User:
    return UserFactory(roles=["reviewer"])


def _request(entry: RegistryEntry, requester: User, to_stage: str = "staging") -> Promotion:
    return request_promotion(
        entry=entry, to_stage=to_stage, reason="better calibrated", requester=requester
    )


def _review(promotion: Promotion, user: User, decision: str = "approve", **kwargs: Any) -> Any:
    promotion.refresh_from_db()
    kwargs.setdefault("revision", promotion.revision)
    kwargs.setdefault("password", PASSWORD)
    return review_promotion(
        promotion=promotion, reviewer=user, decision=decision, reason="read it", **kwargs
    )


def _events() -> list[str]:
    entries = TrailEntry.objects.filter(event__startswith="registry.").order_by("id")
    return list(entries.values_list("event", flat=True))


def test_an_approved_request_moves_the_version(
    entry: RegistryEntry, requester: User, reviewer: User
) -> None:
    promotion = _request(entry, requester)
    assert promotion.state == PromotionState.OPEN
    assert {gate.outcome for gate in promotion.gates.all()} == {"pass"}
    _review(promotion, reviewer)
    promotion.refresh_from_db()
    entry.refresh_from_db()
    assert (promotion.state, entry.stage) == (PromotionState.APPLIED, Stage.STAGING)
    change = StageChange.objects.get()
    assert (change.from_stage, change.to_stage, change.promotion) == (
        Stage.DEVELOPMENT,
        Stage.STAGING,
        promotion,
    )
    assert _events() == [
        "registry.promotion.requested",
        "registry.promotion.reviewed",
        "registry.promotion.approved",
        "registry.version.stage_changed",
        "registry.promotion.applied",
    ]
    assert Job.objects.get(kind="registry.carry_stage").subject == f"model:{entry.model_id}"


@pytest.mark.parametrize("from_stage", Stage.values)
@pytest.mark.parametrize("to_stage", Stage.values)
def test_only_the_allowed_moves_can_be_requested(
    model: RegisteredModel, requester: User, from_stage: str, to_stage: str
) -> None:
    entry = EntryFactory(model=model, stage=from_stage)
    if is_legal(from_stage, to_stage):
        restore = (from_stage, to_stage) == ("archived", "staging")
        assert restore or to_stage in ALLOWED_PROMOTIONS[from_stage]
        return
    with pytest.raises(Refused, match=f"in {from_stage} cannot be promoted to {to_stage}"):
        _request(entry, requester, to_stage)
    assert not Promotion.objects.exists()


def test_nobody_decides_on_their_own_request(entry: RegistryEntry) -> None:
    both = UserFactory(roles=["requester", "reviewer", "approver"])
    promotion = _request(entry, both)
    for decision in ("approve", "reject"):
        with pytest.raises(Refused, match="You requested it"):
            _review(promotion, both, decision)


def test_who_trained_it_does_not_approve(entry: RegistryEntry, requester: User) -> None:
    trainer = UserFactory(roles=["reviewer"])
    RegistryEntry.objects.filter(pk=entry.pk).update(trained_by=trainer)
    with pytest.raises(Refused, match="You trained the version"):
        _review(_request(entry, requester), trainer)


@pytest.mark.parametrize("role", ["viewer", "requester", "deployer", "auditor", "administrator"])
def test_other_roles_do_not_approve(entry: RegistryEntry, requester: User, role: str) -> None:
    with pytest.raises(Refused, match="needs the role"):
        _review(_request(entry, requester), UserFactory(roles=[role]))


def test_a_superuser_has_no_role_for_free(entry: RegistryEntry, requester: User) -> None:
    root = User.objects.create_superuser("root", password="x")
    with pytest.raises(Refused, match="needs the role"):
        _review(_request(entry, requester), root)


def test_a_gate_that_does_not_pass_blocks_approval(
    entry: RegistryEntry, requester: User, reviewer: User
) -> None:
    RegistryEntry.objects.filter(pk=entry.pk).update(signature={})
    promotion = _request(entry, requester)
    with pytest.raises(Refused, match=r"signature \(fail\)"):
        _review(promotion, reviewer)
    entry.refresh_from_db()
    assert entry.stage == Stage.DEVELOPMENT
    _review(promotion, reviewer, "reject")
    promotion.refresh_from_db()
    assert promotion.state == PromotionState.REJECTED


def test_an_unknown_gate_is_an_error_and_blocks(requester: User, reviewer: User) -> None:
    PolicyFactory(
        name="odd",
        stages={
            "staging": {
                "gates": [{"id": "horoscope"}, {"id": "signature"}],
                "approvals": {"count": 1, "roles": ["reviewer"]},
            }
        },
    )
    promotion = _request(EntryFactory(model=ModelFactory(policy_name="odd")), requester)
    outcomes = {gate.gate_id: gate.outcome for gate in promotion.gates.all()}
    assert outcomes == {"horoscope": "error", "signature": "pass"}
    with pytest.raises(Refused, match="horoscope"):
        _review(promotion, reviewer)


def test_a_decision_on_an_older_revision_is_refused(
    entry: RegistryEntry, requester: User, reviewer: User
) -> None:
    promotion = _request(entry, requester)
    seen = promotion.revision
    RegistryEntry.objects.filter(pk=entry.pk).update(artifact_digest="f" * 64)
    with pytest.raises(Conflict, match="changed since you looked"):
        review_promotion(
            promotion=promotion,
            reviewer=reviewer,
            decision="approve",
            reason="ok",
            revision=seen,
            password=PASSWORD,
        )
    promotion.refresh_from_db()
    assert promotion.revision == seen + 1
    assert promotion.state == PromotionState.OPEN


def test_changed_evidence_voids_an_approval(
    model: RegisteredModel, requester: User, reviewer: User
) -> None:
    stages = {**STAGES, "staging": {**STAGES["staging"]}}
    stages["staging"]["approvals"] = {"count": 2, "roles": ["reviewer"]}
    PolicyFactory(name="light", version=2, stages=stages)
    entry = EntryFactory(model=model)
    promotion = _request(entry, requester)
    first = _review(promotion, reviewer)
    RegistryEntry.objects.filter(pk=entry.pk).update(artifact_digest="e" * 64)
    refresh_gates(promotion=promotion)
    first.refresh_from_db()
    assert first.void_reason
    assert "registry.promotion.approvals_voided" in _events()
    _review(promotion, UserFactory(roles=["reviewer"]))
    promotion.refresh_from_db()
    assert promotion.state == PromotionState.OPEN
    _review(promotion, reviewer)
    promotion.refresh_from_db()
    assert promotion.state == PromotionState.APPLIED


def test_one_person_counts_once(model: RegisteredModel, requester: User, reviewer: User) -> None:
    stages = {
        "staging": {
            "gates": [{"id": "signature"}],
            "approvals": {"count": 2, "roles": ["reviewer"]},
        }
    }
    PolicyFactory(name="light", version=2, stages=stages)
    promotion = _request(EntryFactory(model=model), requester)
    _review(promotion, reviewer)
    with pytest.raises(Conflict, match="approved it already"):
        _review(promotion, reviewer)
    promotion.refresh_from_db()
    assert promotion.state == PromotionState.OPEN


def test_one_open_promotion_a_version_and_stage(entry: RegistryEntry, requester: User) -> None:
    promotion = _request(entry, requester)
    with pytest.raises(Conflict, match="open already"):
        _request(entry, UserFactory(roles=["requester"]))
    withdraw_promotion(promotion=promotion, actor=requester, reason="wrong version")
    assert _request(entry, requester).pk != promotion.pk


def test_moving_on_supersedes_other_requests(
    entry: RegistryEntry, requester: User, reviewer: User
) -> None:
    archive = _request(entry, requester, "archived")
    _review(_request(entry, requester), reviewer)
    archive.refresh_from_db()
    assert archive.state == PromotionState.SUPERSEDED


def test_requested_changes_wait_for_the_requester(
    entry: RegistryEntry, requester: User, reviewer: User
) -> None:
    promotion = _request(entry, requester)
    _review(promotion, reviewer, "request_changes")
    with pytest.raises(Refused, match="requested changes"):
        _review(promotion, reviewer)
    with pytest.raises(Refused, match="Only the requester"):
        resubmit_promotion(promotion=promotion, actor=reviewer, reason="fine")
    resubmit_promotion(promotion=promotion, actor=requester, reason="added a description")
    _review(promotion, reviewer)
    promotion.refresh_from_db()
    assert promotion.state == PromotionState.APPLIED


@pytest.mark.parametrize("reason", ["", "  \n"])
def test_every_decision_needs_a_reason(
    entry: RegistryEntry, requester: User, reviewer: User, reason: str
) -> None:
    with pytest.raises(InvalidInput):
        request_promotion(entry=entry, to_stage="staging", reason=reason, requester=requester)
    promotion = _request(entry, requester)
    with pytest.raises(InvalidInput):
        review_promotion(
            promotion=promotion, reviewer=reviewer, decision="reject", reason=reason, revision=1
        )


def test_a_missing_digest_is_inconclusive_and_asks_for_it(requester: User) -> None:
    PolicyFactory(name="light", stages=STAGES)
    entry = EntryFactory(model=ModelFactory(policy_name="light"), artifact_digest="")
    promotion = _request(entry, requester)
    assert promotion.gates.get(gate_id="artifact_digest").outcome == "inconclusive"
    assert Job.objects.get(kind="registry.fingerprint").payload == {"entry": entry.pk}


def test_an_administrator_chooses_the_policy_of_a_model() -> None:
    admin = UserFactory(roles=["administrator"])
    PolicyFactory(name="p")
    model = assign_policy(model=ModelFactory(), policy_name="p", actor=admin)
    assert model.policy_name == "p"
    with pytest.raises(InvalidInput):
        assign_policy(model=model, policy_name="unknown", actor=admin)


@pytest.mark.django_db(transaction=True)
def test_two_people_approving_at_once_make_one_decision() -> None:
    PolicyFactory(name="light", stages=STAGES)
    entry = EntryFactory(model=ModelFactory(policy_name="light"))
    promotion = _request(entry, UserFactory(roles=["requester"]))
    people = [UserFactory(roles=["reviewer"]) for _ in range(6)]
    outcomes: list[str] = []
    barrier = threading.Barrier(len(people))

    def decide(user: User) -> None:
        try:
            barrier.wait()
            review_promotion(
                promotion=promotion,
                reviewer=user,
                decision="approve",
                reason="ok",
                revision=1,
                password=PASSWORD,
            )
            outcomes.append("decided")
        except E2IError as error:
            outcomes.append(type(error).__name__)
        finally:
            connection.close()

    threads = [threading.Thread(target=decide, args=(user,)) for user in people]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes.count("decided") == 1
    assert len(outcomes) == len(people)
    assert StageChange.objects.count() == 1
    assert _events().count("registry.promotion.applied") == 1


def test_nobody_approves_in_a_freeze(requester: User, reviewer: User) -> None:
    freeze = {"from": "2020-01-01T00:00Z", "to": "2999-01-01T00:00Z", "reason": "Moving house"}
    PolicyFactory(name="frozen", stages={"staging": {**STAGES["staging"], "freeze": [freeze]}})
    entry = EntryFactory(model=ModelFactory(policy_name="frozen"))
    promotion = _request(entry, requester)
    with pytest.raises(Refused, match="A freeze is on until 2999-01-01 00:00 UTC: Moving house"):
        _review(promotion, reviewer)
    promotion.refresh_from_db()
    assert promotion.state == PromotionState.OPEN
