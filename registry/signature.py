"""Electronic signatures of decisions, in the sense of 21 CFR Part 11.

A signature states who (printed name, account), when (UTC), what it means (§11.50), and what it is
for: everything the approval binds to. The statement is kept word for word with its SHA-256, and
the trail keeps the same hash, so that none of the three can be exchanged alone (§11.70).
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any

from e2i_site.trail.models import TrailEntry
from registry import trail_events
from registry.choices import ReviewDecision
from registry.gates.evaluate import bound, content_hash
from registry.models import GateResult, Promotion, Review
from registry.statement import statement

if TYPE_CHECKING:
    from django.contrib.auth.models import User

SIGNED = (ReviewDecision.APPROVE, ReviewDecision.REJECT, ReviewDecision.REQUEST_CHANGES)


def meaning(decision: str, promotion: Promotion) -> str:
    """What a signature under `decision` says."""
    way = f"{promotion.entry} for {promotion.to_stage}"
    return {
        ReviewDecision.APPROVE: f"I approve {way} on this evidence.",
        ReviewDecision.REJECT: f"I reject {way}.",
        ReviewDecision.REQUEST_CHANGES: f"I do not approve {way} until changes are made.",
    }[ReviewDecision(decision)]


def sign(review: Review, *, signer: User, gates: Iterable[GateResult], at: datetime) -> None:
    """Fill in the signature of an unsaved review; the signer's identity was proven before."""
    gates = list(gates)
    promotion = review.promotion
    review.signer_name = signer.get_full_name()
    review.meaning = meaning(review.decision, promotion)
    review.signed_at = at
    facts = {
        **_columns(review),
        "bound": bound(promotion, gates),
        "measured": {gate.gate_id: gate.measured or gate.summary[:200] for gate in gates},
    }
    review.statement = statement(
        facts, signer=signer, meaning=review.meaning, reason=review.reason, at=at
    )
    review.signature_hash = content_hash(review.statement)


def problems(review: Review, recorded: Iterable[str]) -> list[str]:
    """Why the signature does not verify; empty when it does.

    `recorded` are the signature hashes that the trail holds for the review's promotion.
    """
    if not review.signature_hash:
        return ["It is not signed."]
    found = []
    if content_hash(review.statement) != review.signature_hash:
        found.append("The signed statement was changed.")
    now = _columns(review)
    differing = [name for name, value in now.items() if review.statement.get(name) != value]
    if differing:
        found.append(f"It differs from the signed statement in: {', '.join(differing)}.")
    if content_hash(review.statement.get("bound")) != review.binding_hash:
        found.append("The binding is not that of the signed statement.")
    if review.signature_hash not in set(recorded):
        found.append("The trail holds no such signature.")
    return found


def _columns(review: Review) -> dict[str, Any]:
    """What the row and the statement must agree on."""
    return {
        "promotion": review.promotion_id,
        "decision": review.decision,
        "reason": review.reason,
        "revision": review.revision,
        "signer": review.reviewer_id,
        "name": review.signer_name,
        "meaning": review.meaning,
        "signed_at": review.signed_at.isoformat() if review.signed_at else None,
        "binding_hash": review.binding_hash,
    }


def verified() -> Iterator[tuple[Review, list[str]]]:
    """Every decision with what is wrong with its signature, oldest first; 2 queries."""
    recorded: dict[str, set[str]] = defaultdict(set)
    entries = TrailEntry.objects.filter(event=trail_events.PROMOTION_REVIEWED)
    for key, text in entries.values_list("subject_id", "changes").iterator(2000):
        recorded[key].add(json.loads(text)["new"].get("signature", ""))
    decisions = Review.objects.filter(decision__in=SIGNED).select_related("promotion__entry")
    for review in decisions.order_by("pk").iterator(500):
        yield review, problems(review, recorded[str(review.promotion_id)])
