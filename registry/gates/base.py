"""What a gate is, and the register of all gates. Other apps add theirs in `AppConfig.ready`."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from registry.choices import GateOutcome
from registry.gates.needs import Needs
from registry.gates.parameters import COMMON, Parameter, Parameters
from registry.models import Promotion, PromotionPolicy, RegistryEntry, VersionMeasurement


@dataclass(frozen=True)
class GateContext:
    """What a gate may look at. `specification` is its entry in the policy."""

    promotion: Promotion
    entry: RegistryEntry
    champion: RegistryEntry | None
    policy: PromotionPolicy
    specification: Mapping[str, Any]
    measurements: Mapping[str, VersionMeasurement] = field(default_factory=dict)

    def measured(self, kind: str) -> VersionMeasurement:
        """What was measured beforehand because the gate needs it; there is always a result."""
        return self.measurements[kind]

    def parameter(self, name: str) -> Any:
        """The policy's value for one of the gate's declared parameters, or its default."""
        found = find(str(self.specification.get("id", "")))
        default = found.parameters[name].default if found and name in found.parameters else None
        return self.specification.get(name, default)


@dataclass(frozen=True)
class Measurement:
    """What a gate found.

    `binding` is what an approval depends on; when it changes, approvals are void. It defaults to
    the evidence. A gate whose evidence grows all the time binds to less. `interval` is
    {"low", "high", "level"}; `inputs` names by digest what was looked at. `measured_at` is when
    the evidence was taken, where that was before now: evidence that is older than the policy
    allows becomes inconclusive. A gate that reads the present state leaves it out.
    """

    outcome: GateOutcome
    summary: str
    measured: str = ""
    limit: str = ""
    sample_size: int | None = None
    interval: Mapping[str, Any] | None = None
    inputs: Mapping[str, Any] = field(default_factory=dict)
    evidence: Mapping[str, Any] = field(default_factory=dict)
    binding: Mapping[str, Any] | None = None
    measured_at: datetime | None = None


def passed(summary: str, **details: Any) -> Measurement:
    return Measurement(GateOutcome.PASS, summary, **details)


def failed(summary: str, **details: Any) -> Measurement:
    return Measurement(GateOutcome.FAIL, summary, **details)


def inconclusive(summary: str, **details: Any) -> Measurement:
    """Not enough is known. It blocks, like a failure."""
    return Measurement(GateOutcome.INCONCLUSIVE, summary, **details)


@dataclass(frozen=True)
class Reopened:
    """A stored result, to be judged by another specification from its own evidence.

    `before` and `now` are the gate's entries in the policies; `shadow_before` and `shadow_now` the
    limits that they set for shadow windows.
    """

    gate_id: str
    outcome: GateOutcome
    evidence: Mapping[str, Any]
    sample_size: int | None
    before: Mapping[str, Any]
    now: Mapping[str, Any]
    shadow_before: Mapping[str, Any] = field(default_factory=dict)
    shadow_now: Mapping[str, Any] = field(default_factory=dict)

    def parameter(self, name: str) -> Any:
        """What the new specification says, or the default."""
        return self._value(self.now, name)

    def earlier(self, name: str) -> Any:
        """What the old specification said, or the default."""
        return self._value(self.before, name)

    def _value(self, specification: Mapping[str, Any], name: str) -> Any:
        known = _gates[self.gate_id].parameters[name]
        return specification.get(name, None if known.is_required else known.default)


class Asking(Protocol):
    """Whatever knows the policy's values for a gate's parameters."""

    def parameter(self, name: str) -> Any: ...


Rejudge = Callable[[Reopened], GateOutcome | None]
GateFunction = Callable[[GateContext], Measurement]


@dataclass(frozen=True)
class Gate:
    gate_id: str
    title: str
    function: GateFunction
    parameters: Parameters = field(default_factory=dict)
    needs: Needs | None = None
    reads_shadow_limits: bool = False

    @property
    def purpose(self) -> str:
        """What the gate asks for, in the first line of its own documentation."""
        return (inspect.getdoc(self.function) or "").partition("\n")[0]

    @property
    def evidence(self) -> str:
        """What it reads, and when it fails or is inconclusive: the rest of its documentation."""
        return " ".join((inspect.getdoc(self.function) or "").partition("\n")[2].split())

    def parameter(self, name: str) -> Parameter | None:
        """What a policy may say under `name`; None when the gate knows no such setting."""
        return self.parameters.get(name) or COMMON.get(name)


_gates: dict[str, Gate] = {}
_again: dict[str, Rejudge] = {}


def again(gate_id: str) -> Callable[[Rejudge], Rejudge]:
    """Register how stored evidence of the gate is judged by another specification.

    The function answers None where the evidence does not tell; it never guesses.
    """

    def decorate(function: Rejudge) -> Rejudge:
        _again[gate_id] = function
        return function

    return decorate


def judge_again(stored: Reopened) -> GateOutcome | None:
    """The outcome under the new specification; None when the evidence does not tell."""
    function = _again.get(stored.gate_id)
    return function(stored) if function else None


def gate(
    gate_id: str,
    *,
    title: str,
    parameters: Parameters | None = None,
    needs: Needs | None = None,
    reads_shadow_limits: bool = False,
) -> Callable[[GateFunction], GateFunction]:
    """Register the decorated function. It reads the database only, and is quick.

    `parameters` says what a policy may set; anything else in its entry is refused. `needs` names
    what has to be measured first, outside the review; until there is a result the gate is
    inconclusive and the function is not called. `reads_shadow_limits`: it also depends on the
    policy's limits of shadow windows.
    """

    def decorate(function: GateFunction) -> GateFunction:
        known = _gates.get(gate_id)
        if known and known.function.__module__ != function.__module__:
            raise ValueError(f"Gate {gate_id} is already registered.")
        _gates[gate_id] = Gate(
            gate_id, title, function, dict(parameters or {}), needs, reads_shadow_limits
        )
        return function

    return decorate


def find(gate_id: str) -> Gate | None:
    return _gates.get(gate_id)


def title(gate_id: str) -> str:
    """Words for a gate; its id when the app that registered it is gone."""
    known = _gates.get(gate_id)
    return known.title if known else gate_id


def all_gates() -> list[Gate]:
    return sorted(_gates.values(), key=lambda item: item.gate_id)
