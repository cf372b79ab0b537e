"""Every rule of a promotion policy as a sentence."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC
from typing import Any

from registry.approvals import BARRED, ApprovalRules, barred_by
from registry.binding import rule_changes
from registry.choices import Stage
from registry.document.write import document_of
from registry.freeze import clock, instant
from registry.gates.base import find, title
from registry.gates.parameters import COMMON
from registry.models import PromotionPolicy
from registry.views.gates import purpose


@dataclass(frozen=True)
class Limit:
    """One setting of a gate; `is_default` where the policy does not say it itself."""

    name: str
    value: str
    is_default: bool


@dataclass(frozen=True)
class GateRule:
    gate_id: str
    title: str
    purpose: str
    limits: tuple[Limit, ...]
    dry_run: bool


@dataclass(frozen=True)
class StageRules:
    """What a policy asks of promotions to one stage."""

    stage: Stage
    gates: tuple[GateRule, ...]
    approvals: str
    times: tuple[str, ...]
    freezes: tuple[str, ...]
    shadow: tuple[str, ...]
    canary: str


def rules_in_words(policy: PromotionPolicy) -> Iterator[StageRules]:
    """The rules of each stage the policy speaks of, in order of travel."""
    for stage in Stage:
        rules = policy.for_stage(stage)
        if rules is not None:
            yield StageRules(
                stage,
                tuple(_gate(each) for each in rules.get("gates", ())),
                approvals_in_words(rules),
                tuple(times_in_words(rules)),
                tuple(freeze_in_words(each) for each in rules.get("freeze") or ()),
                tuple(shadow_in_words(rules.get("shadow") or {})),
                canary_in_words(rules.get("canary") or {}),
            )


def approvals_in_words(rules: Mapping[str, Any]) -> str:
    """Who has to approve, and who never counts: "1 approval by an approver. …"."""
    wanted = ApprovalRules.from_rules(rules.get("approvals"))
    apart = " Each person counts once." if len(wanted.needs) > 1 and not wanted.any_of else ""
    out = barred_by(rules)
    named = [words for who, words in BARRED.items() if who in out]
    never = " or ".join([", ".join(named[:-1]), named[-1]]) if len(named) > 1 else named[0]
    return f"{wanted.words()}.{apart} Whoever {never} never approves."


def times_in_words(rules: Mapping[str, Any]) -> Iterator[str]:
    """Expiry, reminders and the age of evidence."""
    if days := rules.get("expires_after_days"):
        yield f"A request that nobody decided ends after {_count(days, 'day')}."
    else:
        yield "A request stays open until somebody decides it."
    if hours := rules.get("remind_after_hours"):
        often = "every hour" if hours == 1 else f"every {hours:g} hours"
        yield f"Whoever is asked is reminded {often} until then."
    if hours := rules.get("evidence_max_age_hours"):
        yield f"Evidence older than {_count(hours, 'hour')} is inconclusive."


def freeze_in_words(window: Mapping[str, Any]) -> str:
    """When nobody can approve, and why."""
    if "days" not in window:
        begin, end = (
            f"{instant(window[key]).astimezone(UTC):%Y-%m-%d %H:%M}" for key in ("from", "to")
        )
        return f"From {begin} to {end} UTC: {window['reason']}"
    days = ", ".join(day.capitalize() for day in window["days"])
    overnight = clock(window["to"]) <= clock(window["from"])
    end = f"{window['to']} of the next day" if overnight else window["to"]
    zone = window.get("timezone", "UTC")
    return f"{days} from {window['from']} to {end} ({zone}): {window['reason']}"


def shadow_in_words(limits: Mapping[str, Any]) -> Iterable[str]:
    """The frozen limits of a shadow window as sentences."""
    if not limits:
        return
    yield f"At least {limits['hours']:g} h in shadow and {limits['requests']:,} mirrored requests."
    yield f"Error rate below {100 * limits['error_rate']:g} %."
    yield f"99 % of requests answered within {limits['p99_ms']:g} ms."
    if limits.get("sequential"):
        yield (
            f"Both rates certified by a test that stays valid however often one looks; the chance "
            f"of a wrong pass is at most {100 * limits['alpha']:g} %."
        )
    else:
        yield "Only these floors count, without a bound on chance."


def canary_in_words(limits: Mapping[str, Any]) -> str:
    """By which shares of the callers a version goes into production."""
    if not limits:
        return ""
    shares = ", ".join(map(str, limits["steps"]))
    return (
        f"It answers {shares} % of the callers in turn, each for at least "
        f"{_count(limits['minutes'], 'minute')} and {limits['requests']:,} requests, then all."
    )


def changes_in_words(before: PromotionPolicy, after: PromotionPolicy) -> list[tuple[str, str, str]]:
    """(place in the document, old, new) of every rule that is not the same."""
    found = rule_changes(document_of(before), document_of(after))
    return [(place, _said(was), _said(now)) for place, was, now in found]


def _said(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(_said, value)) or "none"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _count(number: float, unit: str) -> str:
    return f"{number:g} {unit}{'' if number == 1 else 's'}"


def _gate(entry: Mapping[str, Any]) -> GateRule:
    gate_id = str(entry.get("id", ""))
    return GateRule(
        gate_id, title(gate_id), purpose(gate_id), tuple(_limits(entry)),
        entry.get("dry_run") is True,
    )  # fmt: skip


def _limits(entry: Mapping[str, Any]) -> Iterator[Limit]:
    """Every setting of the gate, and of those that any gate may carry only what is said."""
    gate = find(str(entry.get("id", "")))
    for name, parameter in (gate.parameters if gate else {}).items():
        is_default = name not in entry
        value = parameter.default if is_default else entry[name]
        if value is not None or not is_default:
            yield Limit(parameter.words, parameter.shown(value), is_default)
    if "evidence_max_age_hours" in entry:
        age = COMMON["evidence_max_age_hours"]
        yield Limit(age.words, age.shown(entry["evidence_max_age_hours"]), is_default=False)
