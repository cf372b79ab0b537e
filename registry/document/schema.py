"""The shape of a policy document, and every problem with one that does not fit.

A problem names the place by its path (("stages", "staging", "gates", 0, "id")) and says what is
legal there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from zoneinfo import available_timezones

from e2i_site.core.roles import Role
from registry.approvals import ALWAYS_BARRED, BARRED
from registry.choices import ALLOWED_PROMOTIONS, Stage
from registry.freeze import DAYS, clock, instant
from registry.gates.base import all_gates, find
from registry.gates.parameters import COMMON, Kind, Parameter

Path = tuple[str | int, ...]
DOCUMENT_KEYS = {
    "name": "The policy's name: up to 60 small letters, digits, - and _. Needed.",
    "description": "What it is for, on its page.",
    "notice": "Shown wherever the policy counts, up to 200 characters.",
    "models": "Patterns of the names of models that it claims, with *, ? and [abc].",
    "stages": "{stage: rules}. Nobody can ask for a stage that is not named. Needed.",
}
STAGE_KEYS = {
    "gates": "The gates that have to pass before anybody can approve, each with its id.",
    "approvals": "Who has to approve. Needed.",
    "may_not_approve": "Who never approves; requester and trainer always are among them.",
    "expires_after_days": "A request that nobody decided ends after so many days.",
    "remind_after_hours": "Whoever is asked is reminded once in each such period.",
    "evidence_max_age_hours": (
        "Older measurements, traffic, runs and reports are inconclusive. A gate that reads the "
        "present state, such as lineage or open_findings, has no age."
    ),
    "freeze": "Windows of time in which nobody can approve.",
    "shadow": "Limits of the shadow window; needed for production, and only there.",
    "canary": "By which shares of the callers it goes into production; without it, in one.",
}
NEED_KEYS = {
    "count": "How many people, 1 to 20. Needed.",
    "roles": "Roles of E2I whose approval counts.",
    "groups": "Other groups whose approval counts; roles or groups are needed.",
}
FREEZE_KEYS = {
    "from": "The first instant, with its zone: 2026-12-20T00:00Z.",
    "to": "The end, with its zone.",
    "reason": "Why; people read it when they are refused.",
}
WEEKLY_KEYS = {
    "days": "The days on which it begins.",
    "from": 'The time of day, "16:00" in quotes.',
    "to": 'The end, up to "24:00"; not after `from` means on the next day.',
    "timezone": "The zone of these times, as Europe/Berlin; UTC when it is left out.",
    "reason": "Why; people read it when they are refused.",
}
SHADOW = {
    "hours": Parameter(Kind.NUMBER, "Hours in shadow", minimum=0),
    "requests": Parameter(Kind.INTEGER, "Mirrored requests", minimum=1),
    "error_rate": Parameter(Kind.NUMBER, "Error rate below", minimum=0, maximum=1),
    "p99_ms": Parameter(Kind.NUMBER, "p99 below", minimum=0, unit="ms"),
    "alpha": Parameter(Kind.NUMBER, "Chance of a wrong pass", minimum=0.0001, maximum=0.5),
    "sequential": Parameter(Kind.FLAG, "Certified by a sequential test"),
}
CANARY = {
    "steps": Parameter(Kind.INTEGERS, "Shares of the callers", minimum=1, maximum=99, unit="%"),
    "minutes": Parameter(Kind.NUMBER, "Minutes of each step, at least", minimum=0),
    "requests": Parameter(Kind.INTEGER, "Requests of each step, at least", minimum=1),
}
MOST_STEPS = 20
_POSITIVE = Parameter(Kind.NUMBER, "", minimum=0.01)
_COUNT = Parameter(Kind.INTEGER, "", minimum=1, maximum=20)
_TEXT = Parameter(Kind.TEXT, "")
TARGETS = tuple(
    stage.value for stage in Stage if any(stage in way for way in ALLOWED_PROMOTIONS.values())
)
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,59}")


@dataclass(frozen=True)
class Problem:
    path: Path
    message: str

    @property
    def key(self) -> str:
        """The place as people write it: stages.staging.gates[0].id"""
        text = ""
        for part in self.path:
            text += f"[{part}]" if isinstance(part, int) else f".{part}"
        return text.lstrip(".")

    def __str__(self) -> str:
        return f"{self.key}: {self.message}" if self.path else self.message


def problems(document: Any) -> list[Problem]:
    """Everything that is wrong with a document; empty when it may be published."""
    if not isinstance(document, Mapping):
        return [Problem((), f"A policy has keys: {', '.join(DOCUMENT_KEYS)}.")]
    return [*_head(document), *stage_problems(document.get("stages"))]


def stage_problems(stages: Any) -> list[Problem]:
    """Everything that is wrong with the rules of the stages."""
    if not isinstance(stages, Mapping) or not stages:
        return [Problem(("stages",), f"It gives rules for some of {', '.join(TARGETS)}.")]
    found: list[Problem] = []
    for stage, rules in stages.items():
        path: Path = ("stages", stage)
        if stage not in TARGETS:
            found.append(Problem(path, f"No promotion goes to {stage!r}; {_one_of(TARGETS)}."))
        elif not isinstance(rules, Mapping):
            found.append(Problem(path, f"It has keys: {', '.join(STAGE_KEYS)}."))
        else:
            found += _stage(path, stage, rules)
    return found


def _head(document: Mapping[str, Any]) -> Iterator[Problem]:
    yield from _unknown((), document, DOCUMENT_KEYS)
    name = document.get("name")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        yield Problem(("name",), "It names the policy in up to 60 small letters, digits, - and _.")
    for key, longest in (("description", 2000), ("notice", 200)):
        text = document.get(key, "")
        if not isinstance(text, str) or len(text) > longest:
            yield Problem((key,), f"It is a text of at most {longest} characters.")
    patterns = document.get("models", [])
    if not isinstance(patterns, list):
        yield Problem(("models",), 'It is a list of patterns of model names, as ["churn_*"].')
        return
    for number, pattern in enumerate(patterns):
        if not isinstance(pattern, str) or not pattern or len(pattern) > 256:
            yield Problem(("models", number), "A pattern is a text with *, ? or [abc] in it.")


def _stage(path: Path, stage: str, rules: Mapping[str, Any]) -> Iterator[Problem]:
    yield from _unknown(path, rules, STAGE_KEYS)
    yield from _gates((*path, "gates"), rules.get("gates", []))
    yield from _approvals((*path, "approvals"), rules.get("approvals"))
    yield from _may_not_approve((*path, "may_not_approve"), rules.get("may_not_approve"))
    for key in ("expires_after_days", "remind_after_hours", "evidence_max_age_hours"):
        if rules.get(key) is not None and not _POSITIVE.accepts(rules[key]):
            yield Problem((*path, key), f"It is {_POSITIVE.legal}.")
    yield from _freezes((*path, "freeze"), rules.get("freeze", []))
    yield from _shadow((*path, "shadow"), stage, rules.get("shadow"))
    yield from _canary((*path, "canary"), stage, rules.get("canary"))


def _gates(path: Path, gates: Any) -> Iterator[Problem]:
    if not isinstance(gates, list):
        yield Problem(path, "It is a list of gates, each with an id.")
        return
    seen: set[str] = set()
    for number, entry in enumerate(gates):
        yield from _gate((*path, number), entry, seen)


def _gate(path: Path, entry: Any, seen: set[str]) -> Iterator[Problem]:
    gate_id = entry.get("id") if isinstance(entry, Mapping) else None
    gate = find(gate_id) if isinstance(gate_id, str) else None
    if gate is None:
        known = _one_of(each.gate_id for each in all_gates())
        what = "A gate needs an id" if gate_id is None else f"No gate is called {gate_id!r}"
        yield Problem((*path, "id") if gate_id is not None else path, f"{what}; {known}.")
        return
    if gate.gate_id in seen:
        yield Problem((*path, "id"), f"Gate {gate.gate_id} is there twice.")
    seen.add(gate.gate_id)
    for name, value in entry.items():
        if name == "id":
            continue
        parameter = gate.parameter(name)
        if parameter is None:
            legal = _one_of((*gate.parameters, *COMMON))
            yield Problem((*path, name), f"Gate {gate.gate_id} has no {name!r}; {legal}.")
        elif not parameter.accepts(value):
            yield Problem((*path, name), f"It is {parameter.legal}.")
    for name, parameter in gate.parameters.items():
        if parameter.is_required and name not in entry:
            yield Problem(path, f"Gate {gate.gate_id} needs {name}: {parameter.legal}.")


def _approvals(path: Path, approvals: Any) -> Iterator[Problem]:
    forms = "{count, roles}, {all_of: […]} or {any_of: […]}"
    if not isinstance(approvals, Mapping):
        yield Problem(path, f"It says who has to approve: {forms}.")
        return
    for form in ("all_of", "any_of"):
        if form not in approvals:
            continue
        yield from _unknown(path, approvals, (form,))
        needs = approvals[form]
        if not isinstance(needs, list) or not needs:
            yield Problem((*path, form), "It is a list of {count, roles or groups}.")
            return
        for number, need in enumerate(needs):
            yield from _need((*path, form, number), need)
        return
    yield from _need(path, approvals)


def _need(path: Path, need: Any) -> Iterator[Problem]:
    if not isinstance(need, Mapping):
        yield Problem(path, "It has a count, and roles or groups.")
        return
    yield from _unknown(path, need, NEED_KEYS)
    if not _COUNT.accepts(need.get("count")):
        yield Problem((*path, "count"), f"It is {_COUNT.legal}.")
    roles, groups = need.get("roles", []), need.get("groups", [])
    if not isinstance(roles, list) or not set(map(str, roles)) <= set(Role.values):
        yield Problem((*path, "roles"), f"It is a list of roles; {_one_of(Role.values)}.")
    if not isinstance(groups, list) or not all(map(_TEXT.accepts, groups)):
        yield Problem((*path, "groups"), "It is a list of names of groups.")
    if not roles and not groups:
        yield Problem(path, "It names roles or groups, else nobody could approve.")


def _may_not_approve(path: Path, people: Any) -> Iterator[Problem]:
    if people is None:
        return
    if not isinstance(people, list) or not set(map(str, people)) <= set(BARRED):
        yield Problem(path, f"It is a list; {_one_of(BARRED)}.")
    elif missing := [who for who in ALWAYS_BARRED if who not in people]:
        yield Problem(path, f"{' and '.join(missing)} can never approve; leave them in.")


def _freezes(path: Path, windows: Any) -> Iterator[Problem]:
    if not isinstance(windows, list):
        yield Problem(path, "It is a list of windows.")
        return
    for number, window in enumerate(windows):
        yield from _freeze((*path, number), window)


def _freeze(path: Path, window: Any) -> Iterator[Problem]:
    if not isinstance(window, Mapping):
        yield Problem(path, "A window has from, to and reason; a weekly one also days, timezone.")
        return
    weekly = "days" in window
    yield from _unknown(path, window, WEEKLY_KEYS if weekly else FREEZE_KEYS)
    if not _TEXT.accepts(window.get("reason")):
        yield Problem((*path, "reason"), "It says why; people read it when they are refused.")
    if weekly:
        days = Parameter(Kind.TEXTS, "", choices=DAYS)
        if not days.accepts(window["days"]):
            yield Problem((*path, "days"), f"It is {days.legal}.")
        if window.get("timezone", "UTC") not in available_timezones():
            yield Problem((*path, "timezone"), "It is a name as Europe/Berlin or UTC.")
        yield from _bounds(path, window, '"HH:MM", in quotes', clock, ordered=False)
    else:
        form = "a time with its zone, as 2026-12-20T00:00Z"
        yield from _bounds(path, window, form, instant, ordered=True)


def _bounds(
    path: Path, window: Mapping[str, Any], form: str, read: Callable[[str], Any], *, ordered: bool
) -> Iterator[Problem]:
    values = []
    for key in ("from", "to"):
        try:
            values.append(read(str(window.get(key))))
        except ValueError:
            yield Problem((*path, key), f"It is {form}.")
    if ordered and len(values) == 2 and values[0] >= values[1]:
        yield Problem((*path, "to"), "It has to be after from.")


def _shadow(path: Path, stage: str, limits: Any) -> Iterator[Problem]:
    if limits is None and stage != Stage.PRODUCTION:
        return
    if stage != Stage.PRODUCTION:
        yield Problem(path, "Only promotions to production have a shadow window.")
        return
    if not isinstance(limits, Mapping):
        yield Problem(path, f"It gives the limits of the shadow window: {', '.join(SHADOW)}.")
        return
    yield from _all_of(path, limits, SHADOW)


def _canary(path: Path, stage: str, limits: Any) -> Iterator[Problem]:
    if limits is None:
        return
    if stage != Stage.PRODUCTION:
        yield Problem(path, "Only promotions to production have a canary.")
        return
    if not isinstance(limits, Mapping):
        yield Problem(path, f"It gives the limits of the canary: {', '.join(CANARY)}.")
        return
    yield from _all_of(path, limits, CANARY)
    steps = limits.get("steps")
    if not isinstance(steps, list) or not CANARY["steps"].accepts(steps):
        return
    if len(steps) > MOST_STEPS or sorted(set(steps)) != steps:
        message = f"They rise, from 1 to {MOST_STEPS} of them; all callers come after the last."
        yield Problem((*path, "steps"), message)


def _all_of(
    path: Path, limits: Mapping[str, Any], legal: Mapping[str, Parameter]
) -> Iterator[Problem]:
    """Each is needed, and nothing else."""
    yield from _unknown(path, limits, legal)
    for name, parameter in legal.items():
        if not parameter.accepts(limits.get(name)):
            yield Problem((*path, name), f"It is {parameter.legal}.")


def _unknown(path: Path, found: Mapping[Any, Any], legal: Collection[str]) -> Iterator[Problem]:
    for key in found:
        if key not in legal:
            yield Problem((*path, str(key)), f"No such key; {_one_of(legal)}.")


def _one_of(names: Any) -> str:
    return f"legal: {', '.join(map(str, names))}"
