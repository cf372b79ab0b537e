"""Risk is computed from facts, by the stated rule."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.choices import GateOutcome, Risk, Stage
from registry.models import GateResult, Promotion, PromotionPolicy, RegistryEntry
from registry.risk import risk_of


def _promotion(to_stage: str, **facts: Any) -> Promotion:
    model = {"model_id": "churn", "model_version": 2}
    return Promotion(
        entry=RegistryEntry(**model, auc=facts.get("auc", 0.8)),
        champion=facts.get("champion"),
        from_stage=facts.get("from_stage", Stage.SHADOW),
        to_stage=to_stage,
        policy=PromotionPolicy(name="p", version=1, notice=facts.get("notice", "")),
    )


def _gates(*outcomes: str) -> list[GateResult]:
    return [GateResult(gate_id=f"g{n}", outcome=outcome) for n, outcome in enumerate(outcomes)]


CHAMPION = {"model_id": "churn", "model_version": 1}


@pytest.mark.parametrize(
    ("to_stage", "gates", "facts", "risk"),
    [
        ("staging", ("pass",), {}, Risk.LOW),
        ("staging", ("fail",), {}, Risk.MEDIUM),
        ("shadow", ("pass",), {}, Risk.LOW),
        ("production", ("pass",), {"champion": RegistryEntry(**CHAMPION, auc=0.7)}, Risk.MEDIUM),
        ("production", ("pass",), {}, Risk.MEDIUM),
        ("production", ("inconclusive",), {}, Risk.HIGH),
        (
            "production",
            ("fail",),
            {"champion": RegistryEntry(**CHAMPION, auc=0.7)},
            Risk.HIGH,
        ),
        (
            "production",
            (),
            {"champion": RegistryEntry(**CHAMPION, auc=0.9), "notice": "Short window."},
            Risk.HIGH,
        ),
        ("archived", (), {"from_stage": Stage.PRODUCTION}, Risk.MEDIUM),
    ],
)
def test_the_rule(to_stage: str, gates: Any, facts: Any, risk: Risk) -> None:
    found, reasons = risk_of(_promotion(to_stage, **facts), _gates(*gates))
    assert found == risk
    assert (risk == Risk.LOW) or reasons


@given(
    outcomes=st.lists(st.sampled_from(GateOutcome.values), max_size=6),
    worse=st.integers(0, 5),
    to_stage=st.sampled_from(["staging", "shadow", "production"]),
)
def test_a_worse_gate_never_lowers_the_risk(outcomes: list[str], worse: int, to_stage: str) -> None:
    order = [Risk.LOW, Risk.MEDIUM, Risk.HIGH]
    before, _ = risk_of(_promotion(to_stage), _gates(*outcomes))
    turned = ["fail" if n == worse else outcome for n, outcome in enumerate(outcomes)]
    after, _ = risk_of(_promotion(to_stage), _gates(*turned))
    assert order.index(after) >= order.index(before)


def test_a_dry_run_adds_nothing() -> None:
    gates = _gates("pass", "error")
    gates[1].dry_run = True
    assert risk_of(_promotion("staging"), gates) == (Risk.LOW, [])
