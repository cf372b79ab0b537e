"""How a past promotion would have fared under other rules. Pure, and never a guess.

A rule that did not change keeps what came of it. A changed one is judged from what is stored;
where that does not tell, the answer is "not known".
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any

from registry.approvals import BARRED, ApprovalRules, barred_by
from registry.choices import GateOutcome, PromotionState
from registry.freeze import freeze_at
from registry.gates.base import Reopened, find, judge_again, title
from registry.gates.parameters import COMMON, max_age_hours
from registry.replay.facts import Past, StoredGate


class Result(StrEnum):
    SAME = "same"
    ALLOWED = "allowed"
    BLOCKED = "blocked"
    UNKNOWN = "unknown"

    @property
    def words(self) -> str:
        return _WORDS[self]


_WORDS = {
    Result.SAME: "the same",
    Result.ALLOWED: "would have been allowed",
    Result.BLOCKED: "would have been blocked",
    Result.UNKNOWN: "not known",
}


@dataclass(frozen=True)
class Reason:
    """One rule that decides: `rule` is its place in the document."""

    rule: str
    sentence: str
    known: bool = True


@dataclass(frozen=True)
class Judgement:
    result: Result
    reasons: tuple[Reason, ...] = ()


def judge(
    past: Past, rules: Mapping[str, Any] | None, shadow: Mapping[str, Any] | None = None
) -> Judgement:
    """What `rules` of its stage (None: the policy has none) would have made of the promotion.

    `shadow` are the policy's limits of shadow windows.
    """
    if rules is None:
        return _without_rules(past)
    if past.state in (PromotionState.WITHDRAWN, PromotionState.SUPERSEDED):
        return Judgement(Result.SAME)
    gates = list(_gates(past, rules, shadow or {}))
    if past.went:
        return _of_allowed([*gates, *_people(past, rules), *_times(past, rules)])
    if past.past_gates:
        return _of_blocked([*gates, *_people(past, rules), *_frozen(past, rules)])
    if past.state == PromotionState.EXPIRED:
        return _of_expired(past, rules, gates)
    stood_in_the_way = any(gate.blocks for gate in past.gates.values())
    return _of_blocked(gates) if stood_in_the_way else Judgement(Result.SAME)


def _without_rules(past: Past) -> Judgement:
    if not past.went:
        return Judgement(Result.SAME)
    sentence = f"There are no rules for promotions to {past.to_stage}, so nobody could ask."
    return Judgement(Result.BLOCKED, (Reason(f"stages.{past.to_stage}", sentence),))


def _of_allowed(reasons: list[Reason]) -> Judgement:
    """Blocked by what is known, before open by what is not."""
    for known, result in ((True, Result.BLOCKED), (False, Result.UNKNOWN)):
        if found := tuple(each for each in reasons if each.known is known):
            return Judgement(result, found)
    return Judgement(Result.SAME)


def _of_blocked(reasons: list[Reason]) -> Judgement:
    """One rule in the way is enough for it to stay where it was."""
    if any(reason.known for reason in reasons):
        return Judgement(Result.SAME)
    if reasons:
        return Judgement(Result.UNKNOWN, tuple(reasons))
    sentence = "Nothing would have stood in the way; people still decide."
    return Judgement(Result.ALLOWED, (Reason("gates", sentence),))


def _of_expired(past: Past, rules: Mapping[str, Any], gates: list[Reason]) -> Judgement:
    days, before = rules.get("expires_after_days"), past.rules.get("expires_after_days")
    if days == before or (days and before and days < before):
        return Judgement(Result.SAME)
    if any(gate.known for gate in gates):
        return Judgement(Result.SAME)
    sentence = "It would have stayed open longer; whether somebody had decided is not known."
    return Judgement(Result.UNKNOWN, (Reason("expires_after_days", sentence, known=False),))


# --- gates -------------------------------------------------------------------------------------


def _gates(past: Past, rules: Mapping[str, Any], shadow: Mapping[str, Any]) -> Iterator[Reason]:
    """A reason for every gate that does not pass, or of which it is not known."""
    before = {each["id"]: each for each in past.rules.get("gates", ())}
    for specification in rules.get("gates", ()):
        gate_id = specification["id"]
        if specification.get("dry_run") is True:
            continue
        stored = past.gates.get(gate_id)
        place, name = f"gates.{gate_id}", title(gate_id)
        if stored is None:
            sentence = f"{name}: it was not asked for, so nothing was measured."
            yield Reason(place, sentence, known=False)
            continue
        old = before.get(gate_id, {"id": gate_id})
        outcome = _outcome(stored, _Change(gate_id, old, specification, past, rules, shadow))
        if outcome is None:
            yield Reason(place, f"{name}: what is stored does not tell.", known=False)
        elif outcome != GateOutcome.PASS:
            yield Reason(place, _turned(name, stored, outcome))


@dataclass(frozen=True)
class _Change:
    """A gate's entry in both policies."""

    gate_id: str
    old: Mapping[str, Any]
    new: Mapping[str, Any]
    past: Past
    rules: Mapping[str, Any]
    shadow: Mapping[str, Any]

    @property
    def says_the_same(self) -> bool:
        same = settings_of(self.gate_id, self.old) == settings_of(self.gate_id, self.new)
        gate = find(self.gate_id)
        depends = gate is not None and gate.reads_shadow_limits
        return same and (not depends or dict(self.past.shadow) == dict(self.shadow))

    @property
    def hours(self) -> tuple[float | None, float | None]:
        """How old evidence may be, before and now."""
        return max_age_hours(self.past.rules, self.old), max_age_hours(self.rules, self.new)


def settings_of(gate_id: str, specification: Mapping[str, Any]) -> dict[str, Any]:
    """A gate's entry with its defaults filled in, but for what every gate may carry."""
    gate = find(gate_id)
    defaults = {
        name: parameter.default
        for name, parameter in (gate.parameters if gate else {}).items()
        if not parameter.is_required
    }
    own = {name: value for name, value in specification.items() if name not in COMMON}
    return {**defaults, **own}


def _outcome(stored: StoredGate, change: _Change) -> GateOutcome | None:
    before, now = change.hours
    if change.says_the_same and before == now:
        return stored.outcome
    if _too_old(stored, now):
        return GateOutcome.INCONCLUSIVE
    if change.says_the_same and not _too_old(stored, before):
        return stored.outcome
    return judge_again(
        Reopened(
            gate_id=change.gate_id,
            outcome=stored.outcome,
            evidence=stored.evidence,
            sample_size=stored.sample_size,
            before=change.old,
            now=change.new,
            shadow_before=change.past.shadow,
            shadow_now=change.shadow,
        )
    )


def _too_old(stored: StoredGate, hours: float | None) -> bool:
    return hours is not None and stored.age_hours is not None and stored.age_hours > hours


def _turned(name: str, stored: StoredGate, outcome: GateOutcome) -> str:
    was = GateOutcome(stored.outcome).label.lower()
    now = GateOutcome(outcome).label.lower()
    turned = f"{was} then, {now} under this policy" if was != now else now
    return f"{name}: {turned}."


# --- people ------------------------------------------------------------------------------------


def _people(past: Past, rules: Mapping[str, Any]) -> Iterator[Reason]:
    """Whether the approvals that were given would have been enough, and by the right people."""
    out = barred_by(rules)
    wanted = ApprovalRules.from_rules(rules.get("approvals"))
    same = wanted == ApprovalRules.from_rules(past.rules.get("approvals"))
    if past.went and same and out == barred_by(past.rules):
        return
    did = {who: what for what in out for who in past.did.get(what, ())}
    counted = [each for each in past.approvals if each.person not in did]
    known: dict[Hashable, Collection[str]] = {
        each.person: each.groups for each in counted if each.groups is not None
    }
    missing = wanted.missing(known)
    if not missing:
        return
    unsure = [each for each in counted if each.groups is None]
    if wanted.met({**known, **{each.person: wanted.groups for each in unsure}}):
        names = ", ".join(each.name for each in unsure)
        yield Reason("approvals", f"The groups of {names} were not recorded.", known=False)
        return
    for each in past.approvals:
        if each.person in did:
            yield Reason("may_not_approve", f"{each.name} {BARRED[did[each.person]]}.")
    yield Reason("approvals", f"Not approved enough; missing: {wanted.words(missing)}.")


# --- times -------------------------------------------------------------------------------------


def _times(past: Past, rules: Mapping[str, Any]) -> Iterator[Reason]:
    if rules.get("freeze", []) != past.rules.get("freeze", []):
        yield from _frozen(past, rules)
    days = rules.get("expires_after_days")
    if past.decided_at is None or not days or days == past.rules.get("expires_after_days"):
        return
    end = past.created_at + timedelta(days=float(days))
    if end < past.decided_at:
        yield Reason(
            "expires_after_days",
            f"It would have expired on {end:%Y-%m-%d}, before it was decided.",
        )


def _frozen(past: Past, rules: Mapping[str, Any]) -> Iterator[Reason]:
    if past.decided_at and (freeze := freeze_at(rules.get("freeze") or (), past.decided_at)):
        when = f"{past.decided_at:%Y-%m-%d %H:%M} UTC"
        yield Reason("freeze", f"It was decided on {when}, in a freeze: {freeze.reason}.")
