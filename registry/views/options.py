"""What one person may do with a promotion, why not, and what will happen if they do."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from e2i_site.core.decision import Decision, refuse
from e2i_site.core.roles import roles_of
from registry.choices import SERVED_STAGES, UNDECIDED, PromotionState, ReviewDecision, Stage
from registry.forms import DecisionForm
from registry.headline import counting
from registry.models import GateResult, Promotion, Review
from registry.policies import (
    approval_rules,
    approvers,
    may_resubmit,
    may_review,
    may_sign,
    may_withdraw,
)

if TYPE_CHECKING:
    from django.contrib.auth.models import User


@dataclass(frozen=True)
class Option:
    """One choice of the decision form. `key` is the letter that picks it."""

    value: str
    label: str
    key: str
    decision: Decision
    effect: str


def options(
    user: User, promotion: Promotion, gates: Sequence[GateResult], reviews: Sequence[Review]
) -> list[Option]:
    """The choices that make sense now; one that is not allowed is there with its reasons."""
    comment = Option(
        ReviewDecision.COMMENT,
        "Comment",
        "",
        may_review(user, promotion, ReviewDecision.COMMENT),
        "Your words go on record; nothing else changes.",
    )
    if promotion.state not in UNDECIDED:
        return [comment]
    decisions = [_if_signable(user, o) for o in _decisions(user, promotion, gates, reviews)]
    mine = list(_of_requester(user, promotion))
    if promotion.state == PromotionState.CHANGES_REQUESTED:
        return [*mine, *decisions, comment]
    return [*decisions, comment, *mine]


def _if_signable(user: User, option: Option) -> Option:
    """A decision is signed; without a name to print that cannot be done."""
    return replace(option, decision=may_sign(user)) if option.decision else option


def _decisions(
    user: User, promotion: Promotion, gates: Sequence[GateResult], reviews: Sequence[Review]
) -> Iterable[Option]:
    approve = may_review(user, promotion, ReviewDecision.APPROVE, gates)
    mine = [review for review in counting(promotion, reviews) if review.reviewer_id == user.pk]
    if approve and mine:
        approve = refuse("You have approved it already.")
    yield Option(
        ReviewDecision.APPROVE, "Approve", "a", approve, _approval_effect(user, promotion, reviews)
    )
    yield Option(
        ReviewDecision.REJECT,
        "Reject",
        "r",
        may_review(user, promotion, ReviewDecision.REJECT),
        f"The request ends; {promotion.entry} stays in {promotion.from_stage}.",
    )
    if promotion.state == PromotionState.OPEN:
        yield Option(
            ReviewDecision.REQUEST_CHANGES,
            "Request changes",
            "c",
            may_review(user, promotion, ReviewDecision.REQUEST_CHANGES),
            f"Nobody can approve until {promotion.requester.get_username()} has answered.",
        )


def _of_requester(user: User, promotion: Promotion) -> Iterable[Option]:
    if resubmit := may_resubmit(user, promotion):
        yield Option(
            DecisionForm.RESUBMIT,
            "Answer and return to review",
            "",
            resubmit,
            "Reviewers can decide again.",
        )
    if withdraw := may_withdraw(user, promotion):
        yield Option(
            DecisionForm.WITHDRAW,
            "Withdraw",
            "",
            withdraw,
            "The request ends without a decision; it can be made anew.",
        )


def _approval_effect(user: User, promotion: Promotion, reviews: Sequence[Review]) -> str:
    rules = approval_rules(promotion)
    given = approvers(counting(promotion, reviews))
    if missing := rules.missing({**given, user.pk: roles_of(user)}):
        return f"It counts; then it still needs {rules.words(missing)}."
    entry, stage = promotion.entry, Stage(promotion.to_stage)
    if stage not in SERVED_STAGES:
        return f"{entry} moves to {stage} at once, and MLflow follows."
    if stage == Stage.SHADOW:
        return f"{entry} is loaded, checked, and then mirrors live requests without answering any."
    successor = f" {promotion.champion} is archived." if promotion.champion else ""
    steps = (promotion.policy.for_stage(stage) or {}).get("canary")
    if steps and promotion.champion:
        shares = ", ".join(map(str, steps["steps"]))
        then = f"it answers {shares} % of the production requests in turn, and then all"
    else:
        then = "it answers all production requests"
    return f"{entry} is loaded and checked, then {then}.{successor}"
