"""Take back approvals whose evidence is no longer what they were given on."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy

from e2i_site.trail.record import record
from registry import trail_events
from registry.binding import differences, take_present
from registry.choices import ReviewDecision
from registry.gates.evaluate import binding_hash
from registry.models import GateResult, Promotion, RegistryEntry


def void_approvals(promotion: Promotion, gates: Sequence[GateResult], binding: str) -> None:
    """Void every approval that is not for `binding`, inside the caller's transaction.

    Each says what changed since it was given. `promotion` has the present policy and champion.
    """
    given = promotion.reviews.filter(decision=ReviewDecision.APPROVE, void_reason="")
    people, reasons = [], []
    for review in given.exclude(binding_hash=binding).select_related("reviewer"):
        changed = differences(review.statement, promotion, gates)
        review.void_reason = " ".join(changed) or "Its binding is not the present one."
        review.save(update_fields=["void_reason"])
        people.append(review.reviewer.get_username())
        reasons.append(review.void_reason)
    if people:
        record(
            trail_events.APPROVALS_VOIDED,
            actor=None,
            subject=promotion,
            old={"approved_by": people, "binding_hash": promotion.binding_hash},
            new={"binding_hash": binding},
            reason=" ".join(dict.fromkeys(reasons)),
        )


def changes_since_approval(promotion: Promotion, entry: RegistryEntry) -> list[str]:
    """What is no longer as it was when `promotion` was approved; nothing is stored."""
    present, gates, binding = _present(promotion, entry)
    if binding == promotion.binding_hash:
        return []
    last = promotion.reviews.filter(decision=ReviewDecision.APPROVE, void_reason="").last()
    return differences(last.statement if last else {}, present, gates)


def void_changed(promotion: Promotion) -> None:
    """Void the approvals of a decided promotion whose evidence has changed since."""
    entry = RegistryEntry.objects.select_related(
        "model", "experiment", "training_run__dataset"
    ).get(pk=promotion.entry_id)
    present, gates, binding = _present(promotion, entry)
    if binding != promotion.binding_hash:
        void_approvals(present, gates, binding)


def _present(promotion: Promotion, entry: RegistryEntry) -> tuple[Promotion, list[GateResult], str]:
    """A copy of the promotion as it would be judged now; decided ones keep what is stored."""
    present = copy(promotion)
    present.entry = entry
    gates = take_present(present)
    return present, gates, binding_hash(present, gates)
