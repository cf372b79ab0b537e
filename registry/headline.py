"""One sentence that says where a promotion stands. Pure: no queries, no writes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from registry.choices import UNDECIDED, GateOutcome, PromotionState, ReviewDecision, worst_of
from registry.gates.base import title
from registry.models import GateResult, Promotion, Review
from registry.policies import approval_rules, approvers, gates_not_passed

if TYPE_CHECKING:
    from collections.abc import Iterable

_SAYS = {
    GateOutcome.INCONCLUSIVE: ("is inconclusive", "are inconclusive"),
    GateOutcome.FAIL: ("failed", "failed"),
    GateOutcome.ERROR: ("could not be evaluated", "could not be evaluated"),
}


@dataclass(frozen=True)
class Headline:
    """`tone` is one of the design's: good, warn, bad, info or quiet. `detail` may be empty."""

    tone: str
    label: str
    sentence: str
    detail: str = ""


def headline(
    promotion: Promotion, gates: Sequence[GateResult], reviews: Iterable[Review]
) -> Headline:
    """The verdict on a promotion, from its state, its gates and the reviews that count."""
    if promotion.state == PromotionState.OPEN:
        return _in_review(promotion, gates, list(reviews))
    label, why = promotion.get_state_display(), promotion.state_reason
    if promotion.state == PromotionState.CHANGES_REQUESTED:
        return _changes_requested(promotion, label, reviews)
    way = f"{promotion.entry} went from {promotion.from_stage} to {promotion.to_stage}"
    tone, sentence = {
        PromotionState.APPROVED: ("info", "Approved; the roll-out is under way."),
        PromotionState.APPLIED: ("good", f"Done: {way}."),
        PromotionState.FAILED: ("bad", "The roll-out failed, and nothing changed."),
        PromotionState.REJECTED: ("bad", f"Rejected: {why}"),
        PromotionState.WITHDRAWN: ("quiet", f"Withdrawn: {why}"),
        PromotionState.SUPERSEDED: ("quiet", f"Superseded: {why}"),
        PromotionState.EXPIRED: ("quiet", f"Expired: {why}"),
    }[PromotionState(promotion.state)]
    if promotion.past_gates and promotion.state == PromotionState.APPROVED:
        tone, sentence = "warn", "Let past its gates; the roll-out is under way."
    elif promotion.past_gates and promotion.state == PromotionState.APPLIED:
        tone, sentence = "warn", f"Done, past its gates: {way}."
    return Headline(tone, label, sentence.strip(), "" if why in sentence else why)


def counting(promotion: Promotion, reviews: Iterable[Review]) -> list[Review]:
    """Approvals that count: given on the present evidence and not voided."""
    return [
        review
        for review in reviews
        if review.decision == ReviewDecision.APPROVE
        and not review.void_reason
        and (promotion.state not in UNDECIDED or review.binding_hash == promotion.binding_hash)
    ]


def _in_review(
    promotion: Promotion, gates: Sequence[GateResult], reviews: list[Review]
) -> Headline:
    if promotion.gates_evaluated_at is None:
        return Headline("info", "Not evaluated", "Its gates have not been evaluated yet.")
    gates = [gate for gate in gates if not gate.dry_run]
    if blocking := gates_not_passed(gates):
        return _blocked(gates, blocking)
    rules = approval_rules(promotion)
    missing = rules.words(rules.missing(approvers(counting(promotion, reviews))))
    gates_say = f"All {len(gates)} gates passed" if gates else "No gate applies"
    return Headline("good", "Ready to decide", f"{gates_say}; it needs {missing}.")


def _blocked(gates: Sequence[GateResult], blocking: Sequence[GateResult]) -> Headline:
    """Names the gates with the worst outcome, and says how many others did not pass."""
    worst = worst_of(GateOutcome(gate.outcome) for gate in blocking)
    alike = [gate for gate in blocking if gate.outcome == worst]
    others = len(blocking) - len(alike)
    more = f" {others} more did not pass." if others else ""
    says = _SAYS[worst][len(alike) > 1]
    return Headline(
        "warn" if worst == GateOutcome.INCONCLUSIVE else "bad",
        "Not ready",
        f"Not ready: {len(alike)} of {len(gates)} gates {says}.{more}",
        " ".join(f"{title(gate.gate_id)}: {gate.summary}" for gate in alike[:2]),
    )


def _changes_requested(promotion: Promotion, label: str, reviews: Iterable[Review]) -> Headline:
    asked = [r for r in reviews if r.decision == ReviewDecision.REQUEST_CHANGES]
    sentence = f"Changes are requested; {promotion.requester.get_username()} has to answer."
    detail = f"{asked[-1].reviewer.get_username()}: {asked[-1].reason}" if asked else ""
    return Headline("warn", label, sentence, detail)
