"""A past promotion under other rules: what is known, what is not, and nothing guessed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from registry.choices import GateOutcome, PromotionState
from registry.replay.facts import WENT, Approval, Past, StoredGate
from registry.replay.judge import Result, judge

ASKED = datetime(2026, 3, 2, 9, tzinfo=UTC)
RULES: dict[str, Any] = {
    "gates": [{"id": "signature"}, {"id": "calibration"}],
    "approvals": {"count": 1, "roles": ["approver"]},
}
CALIBRATED = {"slope": {"value": 0.9, "low": 0.7, "high": 1.1}, "error": {"value": 0.05}}
FREEZE = {"from": "2026-03-04T00:00Z", "to": "2026-03-06T00:00Z", "reason": "Move"}
PAST = Past(
    pk=1,
    label="m v1 → staging",
    to_stage="staging",
    state=PromotionState.APPLIED,
    created_at=ASKED,
    decided_at=ASKED + timedelta(days=3),
    rules=RULES,
    gates={
        "signature": StoredGate(GateOutcome.PASS, {}),
        "calibration": StoredGate(GateOutcome.PASS, CALIBRATED, age_hours=30),
    },
    approvals=(Approval(7, "amina", ("approver",)),),
    did={"requester": (1,), "trainer": (2,), "committer": (7,)},
)


def calibration(**limits: Any) -> dict[str, Any]:
    return {**RULES, "gates": [{"id": "signature"}, {"id": "calibration", **limits}]}


@pytest.mark.parametrize(
    ("rules", "result", "says"),
    [
        (calibration(slope_minimum=0.85), "same", ""),
        (calibration(slope_minimum=0.8), "same", ""),
        (calibration(slope_minimum=0.95), "blocked", "Calibration: passed then, failed under"),
        (calibration(confident=True), "blocked", "inconclusive under"),
        (calibration(slope_minimum=0.95, dry_run=True), "same", ""),
        (calibration(evidence_max_age_hours=24), "blocked", "inconclusive under"),
        ({**RULES, "evidence_max_age_hours": 48}, "same", ""),
        ({**RULES, "gates": []}, "same", ""),
        ({**RULES, "gates": [{"id": "model_card"}]}, "unknown", "not asked for"),
        ({**RULES, "approvals": {"count": 2, "roles": ["approver"]}}, "blocked", "missing: 1 appr"),
        ({**RULES, "approvals": {"count": 1, "groups": ["risk"]}}, "blocked", "somebody of risk"),
        (
            {**RULES, "may_not_approve": ["requester", "trainer", "committer"]},
            "blocked",
            "amina registered the version",
        ),
        ({**RULES, "may_not_approve": ["trainer", "requester"]}, "same", ""),
        ({**RULES, "freeze": [FREEZE]}, "blocked", "in a freeze: Move"),
        ({**RULES, "expires_after_days": 2}, "blocked", "expired on 2026-03-04"),
        ({**RULES, "expires_after_days": 14, "remind_after_hours": 1}, "same", ""),
        (None, "blocked", "no rules for promotions to staging"),
    ],
)
def test_one_changed_line(rules: Any, result: str, says: str) -> None:
    found = judge(PAST, rules)
    assert found.result == result
    assert says in " ".join(each.sentence for each in found.reasons)


def test_what_is_not_recorded_is_not_known() -> None:
    unrecorded = replace(PAST, approvals=(Approval(7, "amina", None),))
    assert judge(unrecorded, RULES).result == Result.SAME
    other = {**RULES, "approvals": {"count": 1, "roles": ["reviewer"]}}
    assert judge(unrecorded, other).result == Result.UNKNOWN
    bare = replace(PAST, gates={**PAST.gates, "calibration": StoredGate(GateOutcome.PASS, {})})
    assert judge(bare, calibration(slope_minimum=0.95)).result == Result.UNKNOWN
    both = {**calibration(slope_minimum=0.95), "freeze": [FREEZE]}
    assert judge(bare, both).result == Result.BLOCKED, "one known reason is enough"


def test_what_did_not_go() -> None:
    failing = {**PAST.gates, "calibration": StoredGate(GateOutcome.FAIL, CALIBRATED)}
    strict = calibration(slope_minimum=0.95)
    rejected = replace(PAST, state=PromotionState.REJECTED, rules=strict, gates=failing)
    assert judge(rejected, strict).result == Result.SAME
    assert judge(rejected, RULES).result == Result.ALLOWED
    assert judge(replace(rejected, gates=PAST.gates), strict).result == Result.SAME, "a person did"
    past_gates = replace(rejected, state=PromotionState.APPLIED, past_gates=True)
    assert judge(past_gates, strict).result == Result.SAME
    assert judge(past_gates, RULES).result == Result.ALLOWED
    expired = replace(PAST, state=PromotionState.EXPIRED, rules={**RULES, "expires_after_days": 3})
    assert judge(expired, expired.rules).result == Result.SAME
    assert judge(expired, {**RULES, "expires_after_days": 2}).result == Result.SAME
    assert judge(expired, RULES).result == Result.UNKNOWN


# --- the very policy that decided never differs -------------------------------------------------

_SPECIFICATIONS = st.sampled_from(
    [
        {"id": "signature"},
        {"id": "calibration"},
        {"id": "calibration", "slope_minimum": 0.85, "confident": True},
        {"id": "metric", "minimum": {"auc": 0.7}, "evidence_max_age_hours": 2},
        {"id": "shadow_evidence"},
        {"id": "model_card", "dry_run": True},
    ]
)
_RULES = st.fixed_dictionaries(
    {
        "gates": st.lists(_SPECIFICATIONS, max_size=4, unique_by=lambda each: each["id"]),
        "approvals": st.fixed_dictionaries(
            {"count": st.integers(1, 3), "roles": st.just(["approver"])}
        ),
    },
    optional={
        "freeze": st.just([FREEZE]),
        "expires_after_days": st.integers(1, 5),
        "evidence_max_age_hours": st.integers(1, 50),
        "may_not_approve": st.just(["requester", "trainer", "committer"]),
    },
)
_GATES = st.builds(
    StoredGate,
    outcome=st.sampled_from(GateOutcome),
    evidence=st.sampled_from([{}, CALIBRATED]),
    age_hours=st.none() | st.floats(0, 100),
)
_OVER = [state for state in PromotionState if state not in ("open", "changes_requested")]


@given(
    rules=_RULES,
    outcomes=st.lists(_GATES, min_size=6, max_size=6),
    state=st.sampled_from(_OVER),
    past_gates=st.booleans(),
    groups=st.none() | st.just(("approver",)),
)
@settings(max_examples=150)
def test_the_policy_that_decided_decides_the_same(
    rules: dict[str, Any],
    outcomes: list[StoredGate],
    state: PromotionState,
    past_gates: bool,
    groups: Any,
) -> None:
    names = [each["id"] for each in rules["gates"]]
    dry = {each["id"] for each in rules["gates"] if each.get("dry_run")}
    gates = {
        name: replace(gate, dry_run=name in dry)
        for name, gate in zip(names, outcomes, strict=False)
    }
    past_gates = past_gates and state in WENT
    blocked = any(gate.blocks for gate in gates.values())
    # What the product can have stored: nobody approves past a gate, save by break-glass.
    assume(blocked if past_gates else not (blocked and state in WENT))
    past = replace(
        PAST,
        rules=rules,
        gates=gates,
        state=state,
        past_gates=past_gates,
        approvals=(Approval(7, "amina", groups),),
    )
    assert judge(past, rules, past.shadow).result == Result.SAME
