"""How risky a promotion is, from facts. Pure; docs/promotions.md states the same rule.

Points: where it goes (shadow 1, production 2, archiving what is in production 2), each gate that
does not pass (inconclusive 1, failed or in error 2, together at most 3), no version to compare
with on the way to production 1, worse than the champion in AUC 1, a policy that carries a notice
1, past its gates by break-glass 3. From 4 points on the risk is high, from 2 medium, else low.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from registry.choices import GateOutcome, Risk, Stage
from registry.gates.base import title
from registry.models import GateResult, Promotion
from registry.policies import gates_not_passed

HIGH, MEDIUM = 4, 2
_MOST_FOR_GATES = 3


def risk_of(promotion: Promotion, gates: Iterable[GateResult]) -> tuple[Risk, list[str]]:
    """The risk and its reasons, the heaviest first. Champion and policy must be loaded."""
    points = sorted(_points(promotion, list(gates)), key=lambda each: -each[0])
    total = sum(count for count, _ in points)
    risk = Risk.HIGH if total >= HIGH else Risk.MEDIUM if total >= MEDIUM else Risk.LOW
    return risk, [reason for _, reason in points]


def _points(promotion: Promotion, gates: list[GateResult]) -> Iterator[tuple[int, str]]:
    to_stage, champion = promotion.to_stage, promotion.champion
    if to_stage == Stage.PRODUCTION:
        yield 2, "It would answer production requests."
        if champion is None:
            yield 1, "No version is in production to compare it with."
    elif to_stage == Stage.SHADOW:
        yield 1, "It would see live requests."
    elif promotion.from_stage == Stage.PRODUCTION:
        yield 2, "It takes the version in production away."
    if blocking := gates_not_passed(gates):
        count = sum(1 if gate.outcome == GateOutcome.INCONCLUSIVE else 2 for gate in blocking)
        names = ", ".join(title(gate.gate_id) for gate in blocking)
        yield min(count, _MOST_FOR_GATES), f"Not passed: {names}."
    auc, before = promotion.entry.auc, champion.auc if champion else None
    if auc is not None and before is not None and auc < before:
        yield 1, f"Its AUC {auc:.4f} is below the {before:.4f} of the version in production."
    if promotion.policy.notice:
        yield 1, f"Policy {promotion.policy}: {promotion.policy.notice}"
    if promotion.past_gates:
        yield 3, "It went past its gates by break-glass."
