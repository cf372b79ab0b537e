"""Which version was in which stage at any moment, who allowed it, and on what evidence."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from e2i_site.trail.models import TrailEntry
from registry import rollouts, trail_events
from registry.choices import GateOutcome, ReviewDecision, Stage
from registry.models import GateResult, Promotion, RegistryEntry, Review, StageChange
from registry.queries import LONG_OF_ENTRY
from registry.rollouts import Served

# A stage change and its trail entry are written by one transaction, one after the other.
_TOGETHER = timedelta(seconds=5)


@dataclass(frozen=True)
class Evidence:
    """Why a version was where it was: the promotion, who signed it, and its gates."""

    promotion: Promotion
    approvals: Sequence[Review]
    gates: Sequence[GateResult]

    @property
    def gates_in_words(self) -> str:
        """Such as "9 passed, 1 failed"; dry runs, which never block, are told apart."""
        if not self.gates:
            return "no gates"
        words = []
        for dry_run, note in ((False, ""), (True, " (dry run)")):
            for outcome in GateOutcome:
                count = sum(g.outcome == outcome and g.dry_run == dry_run for g in self.gates)
                if count:
                    words.append(f"{count} {outcome.label.lower()}{note}")
        return ", ".join(words)


@dataclass(frozen=True)
class Place:
    """Where one version was, by its last change at or before the moment."""

    change: StageChange
    evidence: Evidence | None

    @property
    def entry(self) -> RegistryEntry:
        return self.change.entry

    @property
    def stage(self) -> str:
        return self.change.to_stage


@dataclass(frozen=True)
class Snapshot:
    """All versions known at a moment, by model and newest first, and what served then."""

    moment: datetime
    places: Sequence[Place]
    serving: Sequence[Served]

    def in_stage(self, stage: str) -> list[Place]:
        return [place for place in self.places if place.stage == stage]

    @property
    def track(self) -> list[tuple[Stage, list[Place]]]:
        """Every stage in order of travel with what was there."""
        return [(stage, self.in_stage(stage)) for stage in Stage]


def stages_at(moment: datetime, model: str | None = None) -> Snapshot:
    """Where every version (of `model`) was at `moment`; 4 queries.

    Exact to the microsecond: a change counts from its own instant on.
    """
    changes = StageChange.objects.as_of(moment).select_related(
        "entry", "actor", "promotion__requester", "promotion__policy",
        "promotion__break_glass__actor",
    )  # fmt: skip
    if model is not None:
        changes = changes.filter(entry__model__name=model)
    rows = list(
        changes.defer(
            *(f"entry__{name}" for name in LONG_OF_ENTRY),
            "promotion__policy__stages",
            "promotion__policy__source",
        ).order_by("entry__model__name", "-entry__model_version")
    )
    evidence = _evidence(row.promotion for row in rows if row.promotion is not None)
    places = [Place(row, evidence.get(row.promotion_id or 0)) for row in rows]
    serving = rollouts.serving_at(None if model is None else [model], moment)
    return Snapshot(moment, places, serving)


def _evidence(promotions: Iterable[Promotion]) -> dict[int, Evidence]:
    """{promotion id: its evidence}; 2 queries."""
    found = {promotion.pk: promotion for promotion in promotions}
    # One subquery instead of thousands of numbers: SQLite takes no longer list.
    known = {"promotion__in": list(found)} if len(found) <= 500 else {}
    approvals: dict[int, list[Review]] = defaultdict(list)
    signed = Review.objects.filter(decision=ReviewDecision.APPROVE, void_reason="", **known)
    for review in signed.select_related("reviewer").defer("statement").order_by("id"):
        approvals[review.promotion_id].append(review)
    gates: dict[int, list[GateResult]] = defaultdict(list)
    marks = GateResult.objects.filter(**known).only(
        "promotion", "position", "gate_id", "outcome", "dry_run"
    )
    for gate in marks.order_by("promotion", "position"):
        gates[gate.promotion_id].append(gate)
    return {pk: Evidence(promotion, approvals[pk], gates[pk]) for pk, promotion in found.items()}


def trail_entries(changes: Sequence[StageChange]) -> dict[int, TrailEntry]:
    """{change id: the trail entry that was written with it}; 1 query.

    A change whose entry is not in the trail is left out: the audit looks for those.
    """
    entries: dict[str, list[TrailEntry]] = defaultdict(list)
    rows = TrailEntry.objects.filter(
        subject_type=RegistryEntry._meta.label_lower,
        subject_id__in={str(change.entry_id) for change in changes},
        event__in=(trail_events.STAGE_CHANGED, trail_events.VERSION_REGISTERED),
    )
    for row in rows:
        entries[row.subject_id].append(row)
    found = {}
    for change in changes:
        fitting = [row for row in entries[str(change.entry_id)] if _is_of(row, change)]
        if fitting:
            found[change.pk] = min(fitting, key=lambda row: abs(row.at - change.at))
    return found


def _is_of(row: TrailEntry, change: StageChange) -> bool:
    if not change.from_stage:  # MLflow's own time of registration may be long before ours.
        return row.event == trail_events.VERSION_REGISTERED
    return (
        row.event == trail_events.STAGE_CHANGED
        and row.new.get("stage") == change.to_stage
        and abs(row.at - change.at) <= _TOGETHER
    )
