"""What a gate is, and the register of all gates. Other apps add theirs in `AppConfig.ready`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from registry.choices import GateOutcome
from registry.models import Promotion, PromotionPolicy, RegistryEntry


@dataclass(frozen=True)
class GateContext:
    """What a gate may look at. `specification` is its entry in the policy."""

    promotion: Promotion
    entry: RegistryEntry
    champion: RegistryEntry | None
    policy: PromotionPolicy
    specification: Mapping[str, Any]


@dataclass(frozen=True)
class Measurement:
    """What a gate found.

    `binding` is what an approval depends on; when it changes, approvals are void. It defaults to
    the evidence. A gate whose evidence grows all the time binds to less.
    """

    outcome: GateOutcome
    summary: str
    measured: str = ""
    limit: str = ""
    sample_size: int | None = None
    evidence: Mapping[str, Any] = field(default_factory=dict)
    binding: Mapping[str, Any] | None = None


def passed(summary: str, **details: Any) -> Measurement:
    return Measurement(GateOutcome.PASS, summary, **details)


def failed(summary: str, **details: Any) -> Measurement:
    return Measurement(GateOutcome.FAIL, summary, **details)


def inconclusive(summary: str, **details: Any) -> Measurement:
    """Not enough is known. It blocks, like a failure."""
    return Measurement(GateOutcome.INCONCLUSIVE, summary, **details)


GateFunction = Callable[[GateContext], Measurement]


@dataclass(frozen=True)
class Gate:
    gate_id: str
    title: str
    function: GateFunction


_gates: dict[str, Gate] = {}


def gate(gate_id: str, *, title: str) -> Callable[[GateFunction], GateFunction]:
    """Register the decorated function. It reads the database only, and is quick."""

    def decorate(function: GateFunction) -> GateFunction:
        known = _gates.get(gate_id)
        if known and known.function.__module__ != function.__module__:
            raise ValueError(f"Gate {gate_id} is already registered.")
        _gates[gate_id] = Gate(gate_id, title, function)
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
