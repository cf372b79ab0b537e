"""What is stored about a past promotion, as far as a policy judges it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from registry.choices import GateOutcome, PromotionState

WENT = (PromotionState.APPROVED, PromotionState.APPLIED, PromotionState.FAILED)


@dataclass(frozen=True)
class StoredGate:
    """A gate's result. `age_hours` is how old its evidence was; None: taken at that moment."""

    outcome: GateOutcome
    evidence: Mapping[str, Any]
    sample_size: int | None = None
    age_hours: float | None = None
    dry_run: bool = False

    @property
    def blocks(self) -> bool:
        return self.outcome != GateOutcome.PASS and not self.dry_run


@dataclass(frozen=True)
class Approval:
    """One person's approval; `groups` None: they were not recorded."""

    person: int
    name: str
    groups: tuple[str, ...] | None


@dataclass(frozen=True)
class Past:
    """A promotion that is over. `rules` are those of its stage that it was decided under.

    `did` says who did what: {"trainer": (user id, …)}, keyed as in `registry.approvals.BARRED`.
    """

    pk: int
    label: str
    to_stage: str
    state: PromotionState
    created_at: datetime
    decided_at: datetime | None
    rules: Mapping[str, Any]
    shadow: Mapping[str, Any] = field(default_factory=dict)
    gates: Mapping[str, StoredGate] = field(default_factory=dict)
    approvals: tuple[Approval, ...] = ()
    did: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    past_gates: bool = False

    @property
    def went(self) -> bool:
        """Whether it was approved in the ordinary way."""
        return self.state in WENT and not self.past_gates
