"""Evaluate a promotion's gates again and void approvals whose evidence changed."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone

from e2i_site.trail.record import record
from registry import trail_events
from registry.choices import UNDECIDED, ReviewDecision
from registry.gates.evaluate import binding_hash, champion_of, measure
from registry.models import GateResult, Promotion


@transaction.atomic
def refresh_gates(*, promotion: Promotion) -> Promotion:
    """Measure all gates now. Decided promotions keep the evidence they were decided on."""
    promotion = (
        Promotion.objects.select_for_update(of=("self",))
        .select_related(
            "entry__model", "entry__experiment", "entry__training_run__dataset", "policy"
        )
        .get(pk=promotion.pk)
    )
    if promotion.state not in UNDECIDED:
        return promotion
    promotion.champion = champion_of(promotion.entry)
    promotion.artifact_digest = promotion.entry.artifact_digest
    results = measure(promotion)
    _store(promotion, results)
    binding = binding_hash(promotion, results)
    if promotion.binding_hash and promotion.binding_hash != binding:
        promotion.revision += 1
        _void_approvals(promotion, binding)
    promotion.binding_hash = binding
    promotion.gates_evaluated_at = timezone.now()
    promotion.save(
        update_fields=[
            "champion",
            "artifact_digest",
            "revision",
            "binding_hash",
            "gates_evaluated_at",
        ]
    )
    return promotion


def _store(promotion: Promotion, results: list[GateResult]) -> None:
    stored = {gate.gate_id: gate for gate in promotion.gates.all()}
    for result in results:
        if old := stored.pop(result.gate_id, None):
            result.pk = old.pk
        result.save()


def _void_approvals(promotion: Promotion, binding: str) -> None:
    given = promotion.reviews.filter(decision=ReviewDecision.APPROVE, void_reason="").exclude(
        binding_hash=binding
    )
    people = list(given.values_list("reviewer__username", flat=True))
    if not people:
        return
    given.update(void_reason="The evidence changed after this approval.")
    record(
        trail_events.APPROVALS_VOIDED,
        actor=None,
        subject=promotion,
        old={"approved_by": people, "binding_hash": promotion.binding_hash},
        new={"binding_hash": binding},
        reason="The evidence changed after the approval.",
    )
