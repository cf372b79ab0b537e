"""Evaluating a promotion's gates, and what an approval binds to."""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from datetime import timedelta
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.db import connection, transaction
from django.utils import timezone

from registry.choices import GateOutcome, MeasurementState, Stage, worst_of
from registry.gates.base import GateContext, Measurement, find, inconclusive
from registry.gates.needs import Book, Needs, Want
from registry.gates.parameters import max_age_hours
from registry.models import (
    GateResult,
    Promotion,
    RegistryEntry,
    VersionMeasurement,
)

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
    book = Book(promotion.entry)
    return [
        _measure_one(_context(promotion, specification), position, book)
        for position, specification in enumerate(rules.get("gates", []), start=1)
    ]


def missing(promotion: Promotion) -> list[Want]:
    """What has to be measured for the promotion's gates, and for those of its later stages.

    Later ones too, so that nobody waits at each stage anew. 1 query.
    """
    wants: list[Want] = []
    for rules in promotion.policy.stages.values():
        for specification in rules.get("gates", []):
            needs = _needs(str(specification.get("id", "")))
            try:
                hours = max_age_hours(rules, specification)
                wants += _renewed(needs(_context(promotion, specification)), hours)
            except Exception:
                # Its own evaluation says so, as an error of this gate alone.
                logger.debug("The needs of %s are not known", specification, exc_info=True)
    return list(Book(promotion.entry).due(wants)) if wants else []


def _renewed(wants: Iterable[Want], hours: float | None) -> Iterable[Want]:
    """Measured again well before the policy finds the evidence too old."""
    if hours is None:
        return wants
    half = timedelta(hours=hours) / 2
    return [replace(want, renew_after=min(half, want.renew_after or half)) for want in wants]


def _needs(gate_id: str) -> Needs:
    gate = find(gate_id)
    return gate.needs if gate and gate.needs else lambda context: ()


def _context(promotion: Promotion, specification: Mapping[str, Any]) -> GateContext:
    return GateContext(
        promotion=promotion,
        entry=promotion.entry,
        champion=promotion.champion,
        policy=promotion.policy,
        specification=specification,
    )


def worst(gates: Iterable[GateResult]) -> GateOutcome:
    """A group of gates is as good as its worst; an empty one passes, and dry runs do not count."""
    outcomes = (GateOutcome(gate.outcome) for gate in gates if not gate.dry_run)
    return worst_of(outcomes)


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


def _measure_one(context: GateContext, position: int, book: Book) -> GateResult:
    started = time.perf_counter()
    try:
        with _contained():
            measurement = _fresh_enough(_judged(context, book), context)
        return _result(context, position, measurement, started)
    except Exception as error:
        logger.exception("Gate %s failed to evaluate", context.specification.get("id"))
        problem = Measurement(GateOutcome.ERROR, f"It could not be evaluated: {error}")
        return _result(context, position, problem, started)


def _contained() -> AbstractContextManager[Any]:
    """After a failed query PostgreSQL refuses every later one up to the last savepoint."""
    needed = connection.vendor == "postgresql" and connection.in_atomic_block
    return transaction.atomic() if needed else nullcontext()


def _result(
    context: GateContext, position: int, measurement: Measurement, started: float
) -> GateResult:
    """The measurement as a row; raises where it holds what JSON does not."""
    binding = measurement.evidence if measurement.binding is None else measurement.binding
    return GateResult(
        promotion=context.promotion,
        gate_id=str(context.specification.get("id", "")),
        position=position,
        specification=dict(context.specification),
        outcome=measurement.outcome,
        summary=measurement.summary,
        measured=measurement.measured[:200],
        limit=measurement.limit[:200],
        sample_size=measurement.sample_size,
        interval=_plain(measurement.interval) if measurement.interval else None,
        inputs=_plain(measurement.inputs),
        evidence=_plain(measurement.evidence),
        evidence_hash=content_hash({"outcome": measurement.outcome, "binding": binding}),
        seconds=time.perf_counter() - started,
        evaluated_at=timezone.now(),
        dry_run=context.specification.get("dry_run") is True,
        measured_at=measurement.measured_at,
    )


def _judged(context: GateContext, book: Book) -> Measurement:
    gate_id = str(context.specification.get("id", ""))
    gate = find(gate_id)
    if gate is None:
        return Measurement(GateOutcome.ERROR, f"No gate is called {gate_id!r}.")
    wants = list(gate.needs(context)) if gate.needs else []
    rows = {want.kind: book.find(want) for want in wants}
    if (unmeasured := _unmeasured(context, rows)) is not None:
        return unmeasured
    found = {kind: row for kind, row in rows.items() if row is not None}
    return _with_sources(gate.function(replace(context, measurements=found)), found)


def _fresh_enough(measurement: Measurement, context: GateContext) -> Measurement:
    """Evidence older than the policy allows says nothing any more, whatever it said."""
    rules = context.policy.for_stage(context.promotion.to_stage) or {}
    hours = max_age_hours(rules, context.specification)
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


def _unmeasured(
    context: GateContext, rows: Mapping[str, VersionMeasurement | None]
) -> Measurement | None:
    """Why the gate cannot be judged yet, or at all; None when all it needs was measured."""
    if rows and not context.entry.artifact_digest:
        return inconclusive("The digest of the model's files has not been computed yet.")
    if None in rows.values():
        return inconclusive("It is being measured; this takes about half a minute.")
    for row in rows.values():
        assert row is not None
        if row.state == MeasurementState.ERROR:
            return Measurement(GateOutcome.ERROR, f"It could not be measured: {row.problem}")
        if row.state == MeasurementState.IMPOSSIBLE:
            return inconclusive(row.problem, inputs=row.inputs)
    return None


def _with_sources(measurement: Measurement, rows: Mapping[str, VersionMeasurement]) -> Measurement:
    """With what its measurements looked at, and when the oldest of them was taken."""
    if not rows:
        return measurement
    inputs = {name: value for row in rows.values() for name, value in row.inputs.items()}
    oldest = min(row.measured_at for row in rows.values())
    return replace(measurement, inputs={**inputs, **measurement.inputs}, measured_at=oldest)


def _plain(value: Mapping[str, Any]) -> dict[str, Any]:
    plain: dict[str, Any] = json.loads(
        json.dumps(dict(value), cls=DjangoJSONEncoder, allow_nan=False)
    )
    return plain
