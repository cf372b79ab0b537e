"""One sentence that says where a promotion stands. Pure: no queries, no writes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from registry.choices import BADNESS, UNDECIDED, GateOutcome, PromotionState, ReviewDecision
from registry.gates.base import title
from registry.models import GateResult, Promotion, Review
from registry.policies import approval_rules

if TYPE_CHECKING:
    from collections.abc import Iterable

_SAYS = {
    GateOutcome.INCONCLUSIVE: ("is inconclusive", "are inconclusive"),
    GateOutcome.FAIL: ("failed", "failed"),
    GateOutcome.ERROR: ("could not be evaluated", "could not be evaluated"),
}


@dataclass(frozen=True)
class Headline:
    """`tone` is one of ok, wait, bad, off; it is shown with a word, never as colour alone."""

    tone: str
    label: str
    sentence: str


def headline(
    promotion: Promotion, gates: Sequence[GateResult], reviews: Iterable[Review]
) -> Headline:
    """The verdict on a promotion, from its state, its gates and the reviews that count."""
    if promotion.state == PromotionState.OPEN:
        return _in_review(promotion, gates, list(reviews))
    label = promotion.get_state_display()
    if promotion.state == PromotionState.CHANGES_REQUESTED:
        return Headline("wait", label, _changes_requested(promotion, reviews))
    way = f"{promotion.entry} from {promotion.from_stage} to {promotion.to_stage}"
    why = promotion.state_reason
    tone, sentence = {
        PromotionState.APPROVED: ("wait", f"Approved; the roll-out is under way. {why}"),
        PromotionState.APPLIED: ("ok", f"Done: {way}."),
        PromotionState.FAILED: ("bad", f"The roll-out failed and nothing changed. {why}"),
        PromotionState.REJECTED: ("bad", f"Rejected: {why}"),
        PromotionState.WITHDRAWN: ("off", f"Withdrawn: {why}"),
        PromotionState.SUPERSEDED: ("off", f"Superseded: {why}"),
    }[PromotionState(promotion.state)]
    return Headline(tone, label, sentence.strip())


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
        return Headline("wait", "Not evaluated", "Its gates have not been evaluated yet.")
    blocking = [gate for gate in gates if gate.outcome != GateOutcome.PASS]
    if blocking:
        worst = max((GateOutcome(gate.outcome) for gate in blocking), key=BADNESS.index)
        tone = "wait" if worst == GateOutcome.INCONCLUSIVE else "bad"
        return Headline(tone, "Not ready", _blocked(gates, blocking, worst))
    rules = approval_rules(promotion)
    missing = rules["count"] - len(counting(promotion, reviews))
    who = " or ".join(rules["roles"])
    count = f"{missing} approval" if missing == 1 else f"{missing} approvals"
    gates_say = f"All {len(gates)} gates passed" if gates else "No gate applies"
    return Headline("ok", "Ready to decide", f"{gates_say}; it needs {count} by {who}.")


def _blocked(
    gates: Sequence[GateResult], blocking: Sequence[GateResult], worst: GateOutcome
) -> str:
    alike = [gate for gate in blocking if gate.outcome == worst]
    others = len(blocking) - len(alike)
    says = _SAYS[worst][len(alike) > 1]
    first = alike[0]
    more = f" {others} more did not pass." if others else ""
    return (
        f"{len(alike)} of {len(gates)} gates {says}. {title(first.gate_id)}: {first.summary}{more}"
    )


def _changes_requested(promotion: Promotion, reviews: Iterable[Review]) -> str:
    asked = [r for r in reviews if r.decision == ReviewDecision.REQUEST_CHANGES]
    answer = f"{promotion.requester.get_username()} has to answer."
    if not asked:
        return answer
    return f"{asked[-1].reviewer.get_username()} asked: {asked[-1].reason} {answer}"
