"""Evaluate a promotion's gates again and void approvals whose evidence changed."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone

from registry.actions.measure_version import ask_for_measurements
from registry.actions.void_approvals import void_approvals
from registry.binding import take_present
from registry.choices import UNDECIDED
from registry.gates.evaluate import binding_hash
from registry.locks import lock_model
from registry.models import GateResult, Promotion
from registry.risk import risk_of


@transaction.atomic
def refresh_gates(*, promotion: Promotion) -> Promotion:
    """Measure all gates now. Decided promotions keep the evidence they were decided on."""
    lock_model(promotion.entry.model_id)
    promotion = (
        Promotion.objects.select_for_update(of=("self",))
        .select_related(
            "entry__model", "entry__experiment", "entry__training_run__dataset", "policy"
        )
        .get(pk=promotion.pk)
    )
    if promotion.state not in UNDECIDED:
        return promotion
    results = take_present(promotion)
    _store(promotion, results)
    binding = binding_hash(promotion, results)
    if promotion.binding_hash and promotion.binding_hash != binding:
        promotion.revision += 1
        void_approvals(promotion, results, binding)
    promotion.binding_hash = binding
    promotion.risk, promotion.risk_reasons = risk_of(promotion, results)
    promotion.gates_evaluated_at = timezone.now()
    promotion.save(
        update_fields=[
            "policy",
            "champion",
            "artifact_digest",
            "revision",
            "binding_hash",
            "risk",
            "risk_reasons",
            "gates_evaluated_at",
        ]
    )
    ask_for_measurements(promotion)
    return promotion


def _store(promotion: Promotion, results: list[GateResult]) -> None:
    stored = {gate.gate_id: gate for gate in promotion.gates.all()}
    for result in results:
        if old := stored.pop(result.gate_id, None):
            result.pk = old.pk
        result.save()
    # What the policy no longer asks for is no evidence; signed statements keep what it said.
    promotion.gates.filter(pk__in=[gate.pk for gate in stored.values()]).delete()
