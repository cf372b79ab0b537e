"""What changed on a promotion while somebody was looking at it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from registry.choices import GateOutcome, PromotionState
from registry.gates.base import title
from registry.models import GateResult, Promotion, Review


def snapshot(
    promotion: Promotion,
    gates: Sequence[GateResult],
    reviews: Sequence[Review],
    assigned: str = "",
) -> dict[str, Any]:
    """What the page shows, small enough for a hidden field. It never decides anything."""
    return {
        "state": promotion.state,
        "digest": promotion.artifact_digest,
        "champion": promotion.champion_id,
        "policy": str(promotion.policy),
        "assigned": assigned,
        "gates": {gate.gate_id: [gate.outcome, gate.evidence_hash[:16]] for gate in gates},
        "review": max((review.pk for review in reviews), default=0),
    }


def changes_since(
    seen: Mapping[str, Any],
    promotion: Promotion,
    gates: Sequence[GateResult],
    reviews: Sequence[Review],
    assigned: str = "",
) -> list[str]:
    """Sentences about every difference between `seen` and now."""
    now = snapshot(promotion, gates, reviews, assigned)
    found = []
    if seen.get("state") != now["state"]:
        before = _label(PromotionState, seen.get("state"))
        found.append(f"State: {before} → {promotion.get_state_display()}.")
    if seen.get("digest") != now["digest"]:
        found.append("The digest of the model's files is another one.")
    if seen.get("champion") != now["champion"]:
        champion = promotion.champion or "no version"
        found.append(f"The version in production is now {champion}.")
    if seen.get("policy") != now["policy"]:
        found.append(f"Policy: {seen.get('policy') or 'not shown'} → {now['policy']}.")
    if seen.get("assigned") != now["assigned"]:
        before = seen.get("assigned") or "nobody"
        found.append(f"Asked to review: {before} → {assigned or 'nobody'}.")
    found += _gates(seen.get("gates"), gates)
    found += _reviews(seen.get("review"), reviews)
    return found


def _gates(seen: Any, gates: Sequence[GateResult]) -> Iterable[str]:
    before = seen if isinstance(seen, Mapping) else {}
    for gate in gates:
        old = before.get(gate.gate_id)
        if old == [gate.outcome, gate.evidence_hash[:16]]:
            continue
        old_outcome = old[0] if isinstance(old, list) and old else None
        if old_outcome == gate.outcome:
            says = f"still {gate.get_outcome_display().lower()}, on new evidence"
        else:
            says = f"{_label(GateOutcome, old_outcome)} → {gate.get_outcome_display()}"
        yield f"{title(gate.gate_id)}: {says}. {gate.summary}"
    present = {gate.gate_id for gate in gates}
    yield from (f"{title(gone)}: no longer a gate." for gone in before if gone not in present)


def _reviews(seen: Any, reviews: Sequence[Review]) -> Iterable[str]:
    last = seen if isinstance(seen, int) else 0
    for review in reviews:
        if review.pk > last:
            who = review.reviewer.get_username()
            yield f"{who}: {review.get_decision_display().lower()}. {review.reason}"


def _label(choices: Any, value: Any) -> str:
    return choices(value).label if value in choices.values else "not shown"
