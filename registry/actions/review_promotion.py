"""Approve, reject, request changes to, or comment on a promotion."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import transaction
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables

from e2i_site.core.errors import Conflict, InvalidInput
from e2i_site.core.roles import roles_of
from e2i_site.trail.record import record
from registry import rollouts, trail_events
from registry.actions import tell
from registry.actions.apply_promotion import apply_promotion
from registry.actions.prove_identity import prove_identity
from registry.actions.refresh_gates import refresh_gates
from registry.choices import SERVED_STAGES, PromotionState, ReviewDecision
from registry.gates.evaluate import binding_hash
from registry.locks import lock_model
from registry.mentions import mentioned
from registry.models import Promotion, Review
from registry.policies import approval_rules, approvers, may_review
from registry.signature import SIGNED, sign

if TYPE_CHECKING:
    from django.contrib.auth.models import User


@sensitive_variables("password")
def review_promotion(
    *,
    promotion: Promotion,
    reviewer: User,
    decision: str,
    reason: str,
    revision: int,
    password: str = "",
) -> Review:
    """Record a decision made on `revision` of the promotion, and act on it.

    Every decision but a comment is signed: `password` is the reviewer's, typed at this moment.
    Gates are evaluated afresh first. Raises `Conflict` when the promotion changed since
    `revision`, `Refused` when the reviewer may not decide, `InvalidInput` without a reason or
    with a wrong password.
    """
    if decision not in ReviewDecision.values:
        raise InvalidInput(f"{decision!r} is no decision.", field="decision")
    if not reason.strip():
        raise InvalidInput("Give a reason; it goes on record.", field="reason")
    if decision in SIGNED:
        # Who may not decide at all is told so before a password counts.
        may_review(reviewer, promotion, ReviewDecision.REJECT).enforce()
        prove_identity(user=reviewer, password=password, subject=promotion)
    # Committed on its own: what changed must stay visible when the decision is refused.
    refresh_gates(promotion=promotion)
    with transaction.atomic():
        lock_model(promotion.entry.model_id)
        promotion = (
            Promotion.objects.select_for_update(of=("self",))
            .select_related("entry__model", "policy", "requester", "champion")
            .get(pk=promotion.pk)
        )
        if decision != ReviewDecision.COMMENT and promotion.revision != revision:
            raise Conflict("The promotion changed since you looked at it. Look again, then decide.")
        gates = list(promotion.gates.all())
        if binding_hash(promotion, gates) != promotion.binding_hash:
            raise Conflict("The evidence changed just now. Look again, then decide.")
        may_review(reviewer, promotion, decision, gates).enforce()
        _refuse_second_approval(promotion, reviewer, decision)
        review = Review(
            promotion=promotion,
            reviewer=reviewer,
            decision=decision,
            reason=reason.strip(),
            revision=promotion.revision,
            binding_hash=promotion.binding_hash,
            groups=sorted(roles_of(reviewer)),
        )
        if decision in SIGNED:
            sign(review, signer=reviewer, gates=gates, at=timezone.now())
        named = mentioned(review.reason)
        review.mentions = [user.get_username() for user in named]
        review.save()
        record(
            trail_events.PROMOTION_REVIEWED,
            actor=reviewer,
            subject=promotion,
            new={
                "decision": decision,
                "revision": promotion.revision,
                "binding_hash": promotion.binding_hash,
                "digest": promotion.artifact_digest,
                **({"signature": review.signature_hash} if review.signature_hash else {}),
            },
            reason=review.reason,
        )
        _act(promotion, review)
        tell.reviewed(review, named)
    return review


def _refuse_second_approval(promotion: Promotion, reviewer: User, decision: str) -> None:
    same = {"reviewer": reviewer, "decision": decision, "void_reason": ""}
    if decision == ReviewDecision.APPROVE and promotion.reviews.filter(**same).exists():
        raise Conflict("You have approved it already.")


def _act(promotion: Promotion, review: Review) -> None:
    if review.decision == ReviewDecision.APPROVE:
        _count_approvals(promotion, review)
    elif review.decision == ReviewDecision.REJECT:
        _decide(promotion, PromotionState.REJECTED, review)
        record(
            trail_events.PROMOTION_REJECTED,
            actor=review.reviewer,
            subject=promotion,
            reason=review.reason,
        )
    elif review.decision == ReviewDecision.REQUEST_CHANGES:
        promotion.state = PromotionState.CHANGES_REQUESTED
        promotion.revision += 1
        promotion.save(update_fields=["state", "revision"])
    else:
        # Whoever decides next has read it, or is shown it first.
        promotion.revision += 1
        promotion.save(update_fields=["revision"])


def _count_approvals(promotion: Promotion, review: Review) -> None:
    """The last approval that is needed decides; each person counts once."""
    counted = promotion.reviews.filter(
        decision=ReviewDecision.APPROVE, void_reason="", binding_hash=promotion.binding_hash
    )
    people = approvers(counted.select_related("reviewer"))
    if approval_rules(promotion).missing(people):
        return
    _decide(promotion, PromotionState.APPROVED, review)
    record(
        trail_events.PROMOTION_APPROVED,
        actor=review.reviewer,
        subject=promotion,
        new={"binding_hash": promotion.binding_hash, "approvals": len(people)},
    )
    if promotion.to_stage in SERVED_STAGES:
        rollouts.begin(promotion)
    else:
        apply_promotion(promotion=promotion, actor=review.reviewer)


def _decide(promotion: Promotion, state: PromotionState, review: Review) -> None:
    promotion.state = state
    promotion.state_reason = review.reason if state == PromotionState.REJECTED else ""
    promotion.decided_at = timezone.now()
    promotion.save(update_fields=["state", "state_reason", "decided_at"])
