"""Who may do what in the registry, and why not. Pure functions over loaded objects."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable
from typing import TYPE_CHECKING, Any

from django.utils import timezone

from e2i_site.core.decision import ALLOWED, Decision, refuse
from e2i_site.core.roles import Role, has_role, roles_of
from registry.approvals import BARRED, ApprovalRules, barred_by
from registry.choices import (
    ALLOWED_PROMOTIONS,
    RESTORES,
    UNDECIDED,
    PromotionState,
    ReviewDecision,
    Stage,
)
from registry.freeze import freeze_at
from registry.models import GateResult, Promotion, RegistryEntry, Review

if TYPE_CHECKING:
    from django.contrib.auth.models import User

MAY_REQUEST = (Role.REQUESTER, Role.REVIEWER, Role.APPROVER, Role.DEPLOYER, Role.ADMINISTRATOR)
MAY_COMMENT = (Role.REQUESTER, Role.REVIEWER, Role.APPROVER, Role.DEPLOYER, Role.ADMINISTRATOR)
DELETED = "This version was deleted in MLflow."
HIDDEN = (
    "MLflow hides this model from E2I's account; whether the version is still there is unknown. "
    "The account needs permission to read it."
)


def ways_on(stage: str) -> tuple[Stage, ...]:
    """Where a version in `stage` may be asked to go: a promotion, or a restore."""
    return ALLOWED_PROMOTIONS.get(stage, ()) + RESTORES.get(stage, ())


def is_legal(from_stage: str, to_stage: str) -> bool:
    """Whether somebody may ask to go from one stage to the other; no stage is skipped."""
    return to_stage in ways_on(from_stage)


def out_of_sight(entry: RegistryEntry) -> str:
    """Why nothing can be decided about `entry`: MLflow has it no more, or does not show it."""
    if entry.deleted_in_mlflow:
        return DELETED
    return HIDDEN if entry.model.hidden_since else ""


def may_request(user: User, entry: RegistryEntry, to_stage: str) -> Decision:
    """Ask to move `entry` to `to_stage`."""
    if not has_role(user, *MAY_REQUEST):
        return refuse("Your roles do not include requesting promotions.")
    if not is_legal(entry.stage, to_stage):
        return refuse(illegal_reason(entry.stage, to_stage))
    if unseen := out_of_sight(entry):
        return refuse(unseen)
    return ALLOWED


def illegal_reason(from_stage: str, to_stage: str) -> str:
    """The sentence that says where a version in `from_stage` may go."""
    onward = ", ".join(stage.value for stage in ways_on(from_stage))
    ways = f"it may go to {onward}" if onward else "nothing follows it"
    return f"A version in {from_stage} cannot be promoted to {to_stage}: {ways}."


def approval_rules(promotion: Promotion) -> ApprovalRules:
    """Whose approvals the promotion's policy asks for."""
    return ApprovalRules.from_rules(stage_rules(promotion).get("approvals"))


def may_decide_groups(promotion: Promotion) -> tuple[str, ...]:
    """The groups whose decision the promotion's policy counts."""
    return approval_rules(promotion).groups


def stage_rules(promotion: Promotion) -> dict[str, Any]:
    """What its policy says about promotions to its stage."""
    return promotion.policy.for_stage(promotion.to_stage) or {}


def approvers(reviews: Iterable[Review]) -> dict[Hashable, Collection[str]]:
    """{reviewer: the groups they approved with} of `reviews`, which are approvals that count."""
    return {
        review.reviewer_id: roles_of(review.reviewer) if review.groups is None else review.groups
        for review in reviews
    }


def deeds(promotion: Promotion) -> dict[str, tuple[int, ...]]:
    """{what was done, of BARRED: the ids of the users who did it}."""
    entry = promotion.entry
    people: dict[str, Iterable[int | None]] = {
        "previous_decider": promotion.previous_deciders,
        "committer": [entry.registered_by_id],
        "trainer": [entry.trained_by_id],
        "requester": [promotion.requester_id],
    }
    return {what: tuple(who for who in ids if who) for what, ids in people.items()}


def barred(promotion: Promotion) -> dict[int, str]:
    """{user id: what they did} of those who may not approve: "requested it"."""
    named = barred_by(stage_rules(promotion))
    return {
        user_id: BARRED[what]
        for what, users in deeds(promotion).items()
        if what in named
        for user_id in users
    }


def gates_not_passed(gates: Iterable[GateResult]) -> list[GateResult]:
    """The gates that block; a dry run never does."""
    return [gate for gate in gates if gate.blocks]


def may_review(
    user: User, promotion: Promotion, decision: str, gates: Iterable[GateResult] = ()
) -> Decision:
    """Approve, reject, request changes or comment. `gates` matter only for an approval."""
    if promotion.state not in UNDECIDED and decision != ReviewDecision.COMMENT:
        return refuse(f"It is {PromotionState(promotion.state).label.lower()}; nothing to decide.")
    if decision == ReviewDecision.COMMENT:
        allowed = has_role(user, *MAY_COMMENT)
        return ALLOWED if allowed else refuse("Your roles do not include commenting.")
    groups = approval_rules(promotion).groups
    reasons = []
    if not has_role(user, *groups):
        reasons.append(f"This decision needs the role {' or '.join(groups)}.")
    if user.pk == promotion.requester_id:
        reasons.append("You requested it; somebody else decides.")
    if decision == ReviewDecision.APPROVE:
        reasons += _approval_refusals(user, promotion, gates)
    return refuse(*reasons) if reasons else ALLOWED


def may_sign(user: User) -> Decision:
    """Sign a decision: the signature prints a full name."""
    if not user.get_full_name():
        return refuse("Your account has no full name, which a signature prints; set it first.")
    return ALLOWED


def _approval_refusals(user: User, promotion: Promotion, gates: Iterable[GateResult]) -> list[str]:
    reasons = []
    if user.pk != promotion.requester_id and (did := barred(promotion).get(user.pk)):
        reasons.append(f"You {did}; somebody else approves.")
    if unseen := out_of_sight(promotion.entry):
        reasons.append(unseen)
    if promotion.state == PromotionState.CHANGES_REQUESTED:
        reasons.append("A reviewer requested changes; the requester has to answer first.")
    if promotion.gates_evaluated_at is None:
        reasons.append("Its gates have not been evaluated yet.")
    if freeze := freeze_at(stage_rules(promotion).get("freeze") or (), timezone.now()):
        reasons.append(freeze.sentence)
    if blocking := gates_not_passed(gates):
        names = ", ".join(f"{gate.gate_id} ({gate.outcome})" for gate in blocking)
        reasons.append(f"Not every gate has passed: {names}.")
    return reasons


def may_assign(user: User, promotion: Promotion) -> Decision:
    """Choose who is asked to review."""
    if promotion.state not in UNDECIDED:
        return refuse(f"It is {PromotionState(promotion.state).label.lower()}.")
    if user.pk != promotion.requester_id and not has_role(user, Role.ADMINISTRATOR):
        return refuse("Only the requester or an administrator chooses reviewers.")
    return ALLOWED


def may_withdraw(user: User, promotion: Promotion) -> Decision:
    """Take a request back."""
    if promotion.state not in UNDECIDED:
        return refuse(f"It is {PromotionState(promotion.state).label.lower()}.")
    if user.pk != promotion.requester_id and not has_role(user, Role.ADMINISTRATOR):
        return refuse("Only the requester or an administrator can withdraw it.")
    return ALLOWED


def may_resubmit(user: User, promotion: Promotion) -> Decision:
    """Answer a reviewer who requested changes."""
    if promotion.state != PromotionState.CHANGES_REQUESTED:
        return refuse("No changes are requested.")
    if user.pk != promotion.requester_id:
        return refuse("Only the requester can answer.")
    return ALLOWED


def may_manage_policies(user: User) -> Decision:
    """Publish a policy, or choose which one governs a model."""
    allowed = has_role(user, Role.ADMINISTRATOR)
    return ALLOWED if allowed else refuse("Only an administrator manages policies.")


def may_replay(user: User) -> Decision:
    """See which past decisions another policy would change."""
    allowed = has_role(user, Role.ADMINISTRATOR, Role.AUDITOR)
    return ALLOWED if allowed else refuse("Only administrators and auditors replay policies.")


def may_deprecate(user: User, entry: RegistryEntry) -> Decision:
    """Take a version out of use for good, from any stage that serves nothing."""
    if not has_role(user, Role.ADMINISTRATOR):
        return refuse("Only an administrator deprecates versions.")
    if entry.stage == Stage.DEPRECATED:
        return refuse("It is deprecated already.")
    if entry.stage in (Stage.PRODUCTION, Stage.SHADOW):
        return refuse(f"It is in {entry.stage}; archive it first.")
    return ALLOWED


def may_write_card(user: User) -> Decision:
    """Write a version's model card."""
    allowed = has_role(user, *MAY_REQUEST)
    return ALLOWED if allowed else refuse("Your roles do not include writing model cards.")
