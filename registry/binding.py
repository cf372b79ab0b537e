"""What an approval is for, as it is now, and how that differs from what was approved."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from registry.choices import GateOutcome
from registry.gates.base import title
from registry.gates.evaluate import bound, champion_of, measure
from registry.models import GateResult, Promotion, PromotionPolicy

_MISSING = "nothing"
_SHORT = 12


def take_present(promotion: Promotion) -> list[GateResult]:
    """Point `promotion` at what counts now, and measure its gates; nothing is stored.

    Its policy is the newest version that says something else about the target stage.
    """
    promotion.policy = _policy(promotion)
    promotion.champion = champion_of(promotion.entry)
    promotion.artifact_digest = promotion.entry.artifact_digest
    return measure(promotion)


def _policy(promotion: Promotion) -> PromotionPolicy:
    newest = PromotionPolicy.objects.newest(promotion.policy.name)
    return newest if newest and judges_otherwise(newest, promotion) else promotion.policy


def judges_otherwise(policy: PromotionPolicy, promotion: Promotion) -> bool:
    """Whether the policy has other rules for the promotion than those it is judged by."""
    rules = policy.for_stage(promotion.to_stage)
    return rules is not None and rules != promotion.policy.for_stage(promotion.to_stage)


def differences(
    statement: Mapping[str, Any], promotion: Promotion, gates: Sequence[GateResult]
) -> list[str]:
    """Sentences about what changed since `statement` was signed, old → new."""
    before, now = statement.get("bound") or {}, bound(promotion, gates)
    if not before:
        return ["What was approved changed; the approval is older than signed statements."]
    found = [
        f"{label}: {_short(before.get(name))} → {_short(now[name])}."
        for name, label in (("digest", "Files"), ("champion", "In production"))
        if before.get(name) != now[name]
    ]
    if before.get("policy") != now["policy"]:
        found.append(f"Policy: {_policy_name(before)} → {_policy_name(now)}.")
    found += _rules(before.get("rules"), now["rules"])
    found += _gates(before, now, statement.get("measured") or {}, gates)
    return found


def _policy_name(bound_to: Mapping[str, Any]) -> str:
    name, version = bound_to["policy"]
    return f"{name} v{version}"


def rule_changes(before: Any, now: Any) -> Iterator[tuple[str, Any, Any]]:
    """(place, old, new) of every rule that is not the same; "nothing" where there is none."""
    old, new = dict(_lines(before)), dict(_lines(now))
    for line in dict.fromkeys([*old, *new]):
        if old.get(line) != new.get(line):
            yield line, old.get(line, _MISSING), new.get(line, _MISSING)


def _rules(before: Any, now: Any) -> Iterator[str]:
    for line, was, is_now in rule_changes(before, now):
        yield f"Policy line {line}: {was} → {is_now}."


def _lines(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """A policy as {path: value}; gates by their ids, so that their order does not matter."""
    if isinstance(value, Mapping):
        for name, part in value.items():
            yield from _lines(part, f"{path}.{name}" if path else str(name))
    elif isinstance(value, list) and all(isinstance(part, Mapping) for part in value):
        for number, part in enumerate(value, start=1):
            yield from _lines(part, f"{path}.{part.get('id', number)}")
    else:
        yield path, value


def _gates(
    before: Mapping[str, Any],
    now: Mapping[str, Any],
    measured: Mapping[str, str],
    gates: Iterable[GateResult],
) -> Iterator[str]:
    old = {name: (outcome, digest) for name, outcome, digest in before.get("gates", [])}
    new = {name: (outcome, digest) for name, outcome, digest in now["gates"]}
    results = {gate.gate_id: gate for gate in gates}
    for name in dict.fromkeys([*old, *new]):
        if old.get(name) == new.get(name):
            continue
        if name not in new:
            yield f"{title(name)}: no longer asked for."
        elif name not in old:
            yield f"{title(name)}: new; {results[name].summary}"
        else:
            yield _gate(results[name], old[name], measured.get(name, ""))


def _gate(now: GateResult, old: tuple[str, str], measured: str) -> str:
    outcome = GateOutcome(old[0]).label
    is_now = GateOutcome(now.outcome).label
    turned = f"{outcome} → {is_now}" if outcome != is_now else f"still {is_now.lower()}"
    observed = now.measured or now.summary
    if measured and measured != observed:
        return f"{title(now.gate_id)}: {turned}; {_short(measured)} → {_short(observed)}."
    return (
        f"{title(now.gate_id)}: {turned}; evidence {_short(old[1])} → {_short(now.evidence_hash)}."
    )


def _short(value: Any) -> str:
    text = str(value) if value else _MISSING
    return text[:_SHORT] if len(text) in (40, 64) else text
