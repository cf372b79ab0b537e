"""Evaluating a promotion's gates, and what an approval binds to."""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.utils import timezone

from registry.choices import BADNESS, GateOutcome, Stage
from registry.gates.base import GateContext, Measurement, find
from registry.models import GateResult, Promotion, PromotionPolicy, RegistryEntry

logger = logging.getLogger(__name__)


def champion_of(entry: RegistryEntry) -> RegistryEntry | None:
    """The version of the same model that is in production, unless it is `entry` itself."""
    return (
        RegistryEntry.objects.select_related("training_run__split", "training_run__dataset")
        .filter(model__name=entry.model_id, stage=Stage.PRODUCTION)
        .exclude(pk=entry.pk)
        .first()
    )


def measure(promotion: Promotion) -> list[GateResult]:
    """Run every gate of the promotion's policy; nothing is stored.

    A gate that raises, or that nobody registered, is an *error*; it never ends the others.
    """
    rules = promotion.policy.for_stage(promotion.to_stage) or {}
    results = []
    for position, specification in enumerate(rules.get("gates", []), start=1):
        context = GateContext(
            promotion=promotion,
            entry=promotion.entry,
            champion=promotion.champion,
            policy=promotion.policy,
            specification=specification,
        )
        results.append(_measure_one(context, position))
    return results


def worst(gates: Iterable[GateResult]) -> GateOutcome:
    """A group of gates is as good as its worst; an empty one passes, and dry runs do not count."""
    outcomes = (GateOutcome(gate.outcome) for gate in gates if not gate.dry_run)
    return max(outcomes, key=BADNESS.index, default=BADNESS[0])


def bound(promotion: Promotion, gates: Iterable[GateResult]) -> dict[str, Any]:
    """What an approval is for: version, bytes, policy and the gates' evidence, as JSON.

    What a dry run finds decides nothing, so no approval is for it.
    """
    entry = promotion.entry
    return {
        "model": entry.model_id,
        "version": entry.model_version,
        "to_stage": promotion.to_stage,
        "digest": entry.artifact_digest,
        "policy": [promotion.policy.name, promotion.policy.version],
        "rules": promotion.policy.for_stage(promotion.to_stage),
        "champion": str(promotion.champion) if promotion.champion else None,
        "gates": [
            [gate.gate_id, str(gate.outcome), gate.evidence_hash]
            for gate in gates
            if not gate.dry_run
        ],
    }


def binding_hash(promotion: Promotion, gates: Iterable[GateResult]) -> str:
    """SHA-256 of what an approval is for."""
    return content_hash(bound(promotion, gates))


def content_hash(value: Any) -> str:
    """SHA-256 of a JSON value in its canonical form."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), cls=DjangoJSONEncoder)
    return hashlib.sha256(text.encode()).hexdigest()


def _measure_one(context: GateContext, position: int) -> GateResult:
    gate_id = str(context.specification.get("id", ""))
    started = time.perf_counter()
    measurement = _fresh_enough(_guarded(context, gate_id), context)
    binding = measurement.evidence if measurement.binding is None else measurement.binding
    return GateResult(
        promotion=context.promotion,
        gate_id=gate_id,
        position=position,
        specification=dict(context.specification),
        outcome=measurement.outcome,
        summary=measurement.summary,
        measured=measurement.measured[:200],
        limit=measurement.limit[:200],
        sample_size=measurement.sample_size,
        evidence=_plain(measurement.evidence),
        evidence_hash=content_hash({"outcome": measurement.outcome, "binding": binding}),
        seconds=time.perf_counter() - started,
        evaluated_at=timezone.now(),
        dry_run=context.specification.get("dry_run") is True,
        measured_at=measurement.measured_at,
    )


def _guarded(context: GateContext, gate_id: str) -> Measurement:
    gate = find(gate_id)
    if gate is None:
        return Measurement(GateOutcome.ERROR, f"No gate is called {gate_id!r}.")
    try:
        return gate.function(context)
    except Exception as error:
        logger.exception("Gate %s failed to evaluate", gate_id)
        return Measurement(GateOutcome.ERROR, f"It could not be evaluated: {error}")


def _fresh_enough(measurement: Measurement, context: GateContext) -> Measurement:
    """Evidence older than the policy allows says nothing any more, whatever it said."""
    hours = max_age_hours(context.policy, context.promotion.to_stage, context.specification)
    if measurement.measured_at is None or hours is None:
        return measurement
    age = (timezone.now() - measurement.measured_at).total_seconds() / 3600
    if age <= hours:
        return measurement
    return replace(
        measurement,
        outcome=GateOutcome.INCONCLUSIVE,
        summary=f"Its evidence is older than the {hours:g} h that the policy allows; measure it "
        f"again. It said: {measurement.summary}",
    )


def max_age_hours(
    policy: PromotionPolicy, to_stage: str, specification: Mapping[str, Any]
) -> float | None:
    """How old evidence may be: the gate's own limit, else the stage's; None when not limited."""
    rules = policy.for_stage(to_stage) or {}
    hours = specification.get("evidence_max_age_hours", rules.get("evidence_max_age_hours"))
    return None if hours is None else float(hours)


def _plain(value: Mapping[str, Any]) -> dict[str, Any]:
    plain: dict[str, Any] = json.loads(json.dumps(dict(value), cls=DjangoJSONEncoder))
    return plain
