"""Replaying a proposed policy over the promotions that are over; reads only."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db.models import Case, F, JSONField, QuerySet, Value, When

from registry.choices import UNDECIDED, GateOutcome, PromotionState, ReviewDecision, Stage
from registry.document.read import Document
from registry.gates.parameters import max_age_hours
from registry.governing import governing_every_model
from registry.models import GateResult, Promotion, PromotionPolicy, Review
from registry.policies import deeds
from registry.replay.facts import Approval, Past, StoredGate
from registry.replay.judge import Judgement, Result, judge, settings_of

SHOWN = 100


@dataclass(frozen=True)
class Differing:
    """A promotion that would not have ended the same, or of which that is not known."""

    past: Past
    judgement: Judgement

    def to_json(self) -> dict[str, Any]:
        past, judgement = self.past, self.judgement
        return {
            "promotion": past.pk,
            "label": past.label,
            "state": str(past.state),
            "decided_at": past.decided_at.isoformat() if past.decided_at else None,
            "result": str(judgement.result),
            "reasons": [
                {"rule": f"stages.{past.to_stage}.{each.rule}", "sentence": each.sentence}
                for each in judgement.reasons
            ],
        }


@dataclass(frozen=True)
class Replay:
    """`counts` is {result: promotions}; `differing` the newest ones that differ, at most SHOWN."""

    models: int
    counts: Mapping[Result, int]
    differing: Sequence[Differing] = field(default_factory=tuple)

    @property
    def total(self) -> int:
        return sum(self.counts.values())

    @property
    def left_out(self) -> int:
        """How many that differ are counted and not listed."""
        return self.total - self.counts[Result.SAME] - len(self.differing)

    def to_json(self) -> dict[str, Any]:
        """For the API and the command."""
        return {
            "models": self.models,
            "promotions": self.total,
            "counts": {str(result): count for result, count in self.counts.items()},
            "left_out": self.left_out,
            "differing": [each.to_json() for each in self.differing],
        }


def proposed_policy(document: Document) -> PromotionPolicy:
    """The document as the policy that it would be, without a version; not saved."""
    return PromotionPolicy(name=document.name, source=document.source, **document.content)


def replay(proposed: PromotionPolicy, since: datetime | None = None) -> Replay:
    """Judge every promotion that is over, of the models that `proposed` would govern.

    Those decided at or after `since` (aware), all of them without it. 6 queries, whatever their
    number; rows are streamed.
    """
    names = _claimed(proposed)
    counts: Counter[Result] = Counter()
    differing: list[Differing] = []
    if names:
        for past in _pasts(proposed, names, since):
            rules = proposed.for_stage(past.to_stage)
            found = judge(past, rules, _shadow(proposed))
            counts[found.result] += 1
            if found.result != Result.SAME and len(differing) < SHOWN:
                differing.append(Differing(past, found))
    return Replay(len(names), {each: counts[each] for each in Result}, differing)


def _claimed(proposed: PromotionPolicy) -> list[str]:
    governed = governing_every_model(proposed)
    return [name for name, governing in governed.items() if governing.policy is proposed]


def _shadow(policy: PromotionPolicy) -> dict[str, Any]:
    return (policy.for_stage(Stage.PRODUCTION) or {}).get("shadow") or {}


def _pasts(
    proposed: PromotionPolicy, names: Sequence[str], since: datetime | None
) -> Iterator[Past]:
    """Newest first, from three streams of rows in the same order."""
    chosen = Promotion.objects.filter(entry__model__name__in=names).exclude(state__in=UNDECIDED)
    if since is not None:
        chosen = chosen.filter(decided_at__gte=since)
    used = PromotionPolicy.objects.filter(pk__in=chosen.order_by().values("policy").distinct())
    policies = {policy.pk: policy for policy in used}
    gates = _Grouped(_gate_rows(chosen, _reopened(proposed, policies.values())))
    reviews = _Grouped(
        Review.objects.filter(promotion__in=chosen, decision=ReviewDecision.APPROVE)
        .order_by("-promotion_id", "id")
        .values_list(
            "promotion_id", "binding_hash", "void_reason", "reviewer_id", "groups",
            "reviewer__username",
        )
        .iterator(2000)
    )  # fmt: skip
    rows = chosen.select_related("entry").order_by("-pk")
    for promotion in rows.iterator(1000):
        yield _past(
            promotion,
            policies[promotion.policy_id],
            gates.of(promotion.pk),
            reviews.of(promotion.pk),
        )


def _reopened(proposed: PromotionPolicy, policies: Iterable[PromotionPolicy]) -> set[str]:
    """The gates that some policy asked for otherwise: only their evidence has to be read."""
    versions: dict[str, list[Any]] = defaultdict(list)
    for policy in [proposed, *policies]:
        for rules in policy.stages.values():
            for entry in rules.get("gates", ()):
                hours = max_age_hours(rules, entry)
                found = (settings_of(entry["id"], entry), hours, _shadow(policy))
                if found not in versions[entry["id"]]:
                    versions[entry["id"]].append(found)
    return {gate_id for gate_id, found in versions.items() if len(found) > 1}


def _gate_rows(chosen: QuerySet[Promotion], reopened: set[str]) -> Iterator[tuple[Any, ...]]:
    evidence = Case(
        When(gate_id__in=reopened, then=F("evidence")),
        default=Value({}, JSONField()),
        output_field=JSONField(),
    )
    return (
        GateResult.objects.filter(promotion__in=chosen)
        .order_by("-promotion_id", "position")
        .annotate(read=evidence)
        .values_list(
            "promotion_id", "gate_id", "outcome", "read", "sample_size", "dry_run",
            "evaluated_at", "measured_at",
        )
        .iterator(2000)
    )  # fmt: skip


class _Grouped:
    """Rows that begin with a promotion's number, falling; each number is asked for in turn."""

    def __init__(self, rows: Iterator[tuple[Any, ...]]) -> None:
        self._rows = rows
        self._next = next(rows, None)

    def of(self, pk: int) -> list[tuple[Any, ...]]:
        found = []
        while self._next is not None and self._next[0] >= pk:
            if self._next[0] == pk:
                found.append(self._next[1:])
            self._next = next(self._rows, None)
        return found


def _past(
    promotion: Promotion,
    policy: PromotionPolicy,
    gates: Iterable[tuple[Any, ...]],
    reviews: Iterable[tuple[Any, ...]],
) -> Past:
    return Past(
        pk=promotion.pk,
        label=str(promotion),
        to_stage=promotion.to_stage,
        state=PromotionState(promotion.state),
        created_at=promotion.created_at,
        decided_at=promotion.decided_at,
        rules=policy.for_stage(promotion.to_stage) or {},
        shadow=_shadow(policy),
        gates={gate_id: _gate(*row) for gate_id, *row in gates},
        approvals=tuple(_approvals(promotion, reviews)),
        did=deeds(promotion),
        past_gates=promotion.past_gates,
    )


def _gate(
    outcome: str,
    evidence: Mapping[str, Any],
    sample_size: int | None,
    dry_run: bool,
    evaluated_at: datetime,
    measured_at: datetime | None,
) -> StoredGate:
    age = None if measured_at is None else (evaluated_at - measured_at).total_seconds() / 3600
    return StoredGate(GateOutcome(outcome), evidence, sample_size, age, dry_run)


def _approvals(promotion: Promotion, reviews: Iterable[tuple[Any, ...]]) -> Iterator[Approval]:
    """Those that counted when it was decided, also where a failed roll-out voided them since."""
    for binding, void_reason, reviewer, groups, name in reviews:
        counted = not void_reason or promotion.state == PromotionState.FAILED
        if binding == promotion.binding_hash and counted:
            yield Approval(reviewer, name, None if groups is None else tuple(groups))
