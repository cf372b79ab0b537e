"""Was every change of a stage legal, approved by somebody else, and written to the trail?"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from django.db.models import Prefetch

from e2i_site.audit.choices import Priority
from e2i_site.audit.registry import CheckContext, SubjectOutcome, check
from e2i_site.trail.models import TrailEntry
from registry import trail_events
from registry.choices import (
    ALLOWED_PROMOTIONS,
    RESTORES,
    SERVED_STAGES,
    GateOutcome,
    PromotionState,
    ReviewDecision,
    Stage,
    StageCause,
)
from registry.models import Promotion, RegistryEntry, Review, StageChange
from registry.policies import approval_rules, approvers, barred

_ROLLBACK_MOVES = {
    (Stage.PRODUCTION, Stage.ARCHIVED),
    (Stage.ARCHIVED, Stage.PRODUCTION),
}


@check(
    "4.2b",
    phase=4,
    title="Every stage a version is in was reached by legal, recorded steps",
    remediation="The row was changed behind E2I's actions. Compare the version's stage history "
    "with the trail, find who wrote to the database, put the stage back to what the last recorded "
    "step says, and let a reviewed promotion or a rollback do what was wanted.",
    priority=Priority.P0,
)
def transitions_are_legal(context: CheckContext) -> Iterator[SubjectOutcome]:
    """The stage history of each version is unbroken, legal, and equal to its trail entries."""
    changes = StageChange.objects.select_related("promotion").order_by("at", "id")
    entries = RegistryEntry.objects.prefetch_related(Prefetch("stage_changes", changes))
    recorded = _recorded_stages()
    for entry in entries:
        history = list(entry.stage_changes.all())
        if not history and entry.stage == Stage.DEVELOPMENT:
            continue
        problems = [*_history_problems(entry, history), *_trail_problems(history, recorded)]
        if problems:
            steps = [f"{each.from_stage or '–'} → {each.to_stage}" for each in history]
            yield context.failed(entry, " ".join(problems), evidence={"steps": steps})
        else:
            yield context.passed(entry, f"{len(history)} recorded steps to {entry.stage}.")


def _history_problems(entry: RegistryEntry, history: Sequence[StageChange]) -> Iterator[str]:
    stage = ""
    for change in history:
        came_from = change.from_stage or Stage.DEVELOPMENT
        if stage and came_from != stage:
            yield f"A step starts from {came_from}, but the version was in {stage}."
        if reason := _illegal(change):
            yield reason
        stage = change.to_stage
    if stage and stage != entry.stage:
        yield f"It is in {entry.stage}, but the last recorded step ended in {stage}."
    if not history:
        yield f"It is in {entry.stage}, but no step to it is recorded."


def _illegal(change: StageChange) -> str:
    """What is wrong with one step; empty when nothing is."""
    step = f"{change.from_stage or '–'} → {change.to_stage}"
    legal = {
        StageCause.REGISTERED: not change.from_stage or change.from_stage == change.to_stage,
        StageCause.PROMOTION: change.to_stage in ALLOWED_PROMOTIONS.get(change.from_stage, ()),
        StageCause.RESTORE: change.to_stage in RESTORES.get(change.from_stage, ()),
        StageCause.SUCCESSOR: (change.from_stage, change.to_stage)
        == (Stage.PRODUCTION, Stage.ARCHIVED),
        StageCause.ROLLBACK: (change.from_stage, change.to_stage) in _ROLLBACK_MOVES,
        StageCause.EMERGENCY: change.from_stage in SERVED_STAGES
        and change.to_stage == Stage.ARCHIVED,
        StageCause.DEPRECATION: change.to_stage == Stage.DEPRECATED,
    }
    if not legal.get(StageCause(change.cause), False):
        return f"The step {step} is not allowed for a {change.get_cause_display().lower()}."
    if change.cause not in (StageCause.PROMOTION, StageCause.RESTORE, StageCause.SUCCESSOR):
        return ""
    promotion = change.promotion
    if promotion is None:
        return f"The step {step} names no promotion."
    if promotion.state != PromotionState.APPLIED:
        return f"The step {step} belongs to a promotion that is {promotion.state}."
    if change.cause != StageCause.SUCCESSOR and (
        promotion.entry_id != change.entry_id or promotion.to_stage != change.to_stage
    ):
        return f"The step {step} names a promotion that asked for something else."
    return ""


def _recorded_stages() -> Mapping[str, Counter[tuple[str, str]]]:
    """How often the trail says that a version went from one stage to another, by its key."""
    recorded: dict[str, Counter[tuple[str, str]]] = defaultdict(Counter)
    rows = TrailEntry.objects.filter(event=trail_events.STAGE_CHANGED)
    for key, text in rows.values_list("subject_id", "changes").iterator(2000):
        changes = json.loads(text)
        recorded[key][changes["old"].get("stage", ""), changes["new"].get("stage", "")] += 1
    return recorded


def _trail_problems(
    history: Sequence[StageChange], recorded: Mapping[str, Counter[tuple[str, str]]]
) -> Iterator[str]:
    moves = [each for each in history if each.cause != StageCause.REGISTERED]
    if not moves:
        return
    happened = Counter((each.from_stage, each.to_stage) for each in moves)
    missing = happened - recorded.get(str(moves[0].entry_id), Counter())
    for from_stage, to_stage in missing:
        yield f"The trail has no entry for the step {from_stage} → {to_stage}."


@check(
    "5.3",
    phase=5,
    title="Every promotion that was carried out has its approvals, its evidence and its trail",
    remediation="The promotion was carried out without what its policy asks for. Take the version "
    "back (rollback or archive), then request the promotion again and have it reviewed.",
    priority=Priority.P0,
)
def workflows_are_complete(context: CheckContext) -> Iterator[SubjectOutcome]:
    """Approvals by enough other people on the evidence that decided, gates passed, trail whole."""
    promotions = (
        # One past its gates has neither approvals nor passed gates; 4.3b reports it.
        Promotion.objects.filter(state=PromotionState.APPLIED, past_gates=False)
        .select_related("entry", "policy", "requester")
        .prefetch_related("gates", "reviews")
    )
    events = _events_by_promotion()
    for promotion in promotions:
        problems = [
            *_approval_problems(promotion),
            *_gate_problems(promotion),
            *_event_problems(events.get(str(promotion.pk), frozenset())),
        ]
        if problems:
            yield context.failed(promotion, " ".join(problems), evidence=_evidence(promotion))
        else:
            yield context.passed(promotion, evidence=_evidence(promotion))


def counted_approvals(promotion: Promotion) -> list[Review]:
    """Approvals that count: for the evidence that decided, by somebody who may decide."""
    people = barred(promotion)
    return [
        each
        for each in promotion.reviews.all()
        if each.decision == ReviewDecision.APPROVE
        and not each.void_reason
        and each.binding_hash == promotion.binding_hash
        and each.reviewer_id not in people
    ]


def _approval_problems(promotion: Promotion) -> Iterator[str]:
    rules = approval_rules(promotion)
    if missing := rules.missing(approvers(counted_approvals(promotion))):
        excluded = " and ".join(sorted(set(barred(promotion).values())))
        yield f"It lacks {rules.words(missing)}; whoever {excluded} does not count."
    if promotion.artifact_digest != promotion.entry.artifact_digest:
        yield "The version's digest is no longer the one that was approved."


def _gate_problems(promotion: Promotion) -> Iterator[str]:
    rules = promotion.policy.for_stage(promotion.to_stage) or {}
    results = {each.gate_id: each.outcome for each in promotion.gates.all()}
    for specification in rules.get("gates", []):
        outcome = results.get(specification["id"])
        if outcome is None:
            yield f"Gate {specification['id']} was never evaluated."
        elif outcome != GateOutcome.PASS and not specification.get("dry_run"):
            yield f"Gate {specification['id']} was {outcome} when it was decided."


def _events_by_promotion() -> Mapping[str, frozenset[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    rows = TrailEntry.objects.filter(subject_type=Promotion._meta.label_lower)
    for key, event in rows.values_list("subject_id", "event").iterator(2000):
        found[key].add(event)
    return {key: frozenset(events) for key, events in found.items()}


def _event_problems(events: Iterable[str]) -> Iterator[str]:
    needed = {
        trail_events.PROMOTION_REQUESTED: "request",
        trail_events.PROMOTION_REVIEWED: "review",
        trail_events.PROMOTION_APPROVED: "approval",
        trail_events.PROMOTION_APPLIED: "carrying out",
    }
    for event, word in needed.items():
        if event not in events:
            yield f"The trail has no entry for its {word}."


def _evidence(promotion: Promotion) -> dict[str, object]:
    return {
        "policy": str(promotion.policy),
        "digest": promotion.artifact_digest,
        "binding_hash": promotion.binding_hash,
        "reviews": [each.pk for each in counted_approvals(promotion)],
    }
