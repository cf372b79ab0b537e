"""Dry-run gates report and do not block; old evidence does; what cannot be told is an error."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from registry.actions.refresh_gates import refresh_gates
from registry.actions.request_promotion import request_promotion
from registry.actions.review_promotion import review_promotion
from registry.choices import GateOutcome, PromotionState
from registry.gates import base
from registry.headline import headline
from registry.models import Promotion
from tests.factories.people import PASSWORD, UserFactory
from tests.factories.registry import EntryFactory, ModelFactory, PolicyFactory
from tests.factories.training import QualityFactory

pytestmark = pytest.mark.django_db
APPROVALS = {"count": 1, "roles": ["approver"]}


@pytest.fixture
def measured_before() -> Iterator[None]:
    @base.gate("measured_before", title="Measured before")
    def measured_before(context: base.GateContext) -> base.Measurement:
        return base.passed("Fast.", measured_at=timezone.now() - timedelta(hours=30))

    yield
    del base._gates["measured_before"]


def asked(*gates: dict[str, object], **rules: object) -> Promotion:
    policy = PolicyFactory(
        stages={"staging": {"gates": list(gates), "approvals": APPROVALS, **rules}}
    )
    entry = EntryFactory(model=ModelFactory(policy_name=policy.name), signature={})
    requester = UserFactory(roles=["requester"])
    return request_promotion(entry=entry, to_stage="staging", reason="better", requester=requester)


def test_a_failed_dry_run_is_stored_and_does_not_block() -> None:
    promotion = asked({"id": "artifact_digest"}, {"id": "signature", "dry_run": True})
    result = promotion.gates.get(gate_id="signature")
    assert (result.outcome, result.dry_run, result.blocks) == (GateOutcome.FAIL, True, False)
    assert "All 1 gates passed" in headline(promotion, list(promotion.gates.all()), []).sentence
    review_promotion(
        promotion=promotion,
        reviewer=UserFactory(roles=["approver"]),
        decision="approve",
        reason="good",
        revision=promotion.revision,
        password=PASSWORD,
    )
    promotion.refresh_from_db()
    assert promotion.state == PromotionState.APPLIED


def test_what_a_dry_run_finds_voids_nothing() -> None:
    promotion = asked({"id": "artifact_digest"}, {"id": "signature", "dry_run": True})
    before = promotion.binding_hash
    entry = promotion.entry
    entry.signature = {"inputs": [1], "outputs": [1]}
    entry.save()
    after = refresh_gates(promotion=promotion)
    assert after.gates.get(gate_id="signature").outcome == GateOutcome.PASS
    assert after.binding_hash == before


@pytest.mark.parametrize(
    ("of_stage", "of_gate", "outcome"),
    [(None, None, "pass"), (24, None, "inconclusive"), (24, 48, "pass"), (None, 1, "inconclusive")],
)
@pytest.mark.usefixtures("measured_before")
def test_old_evidence_is_inconclusive(
    of_stage: int | None, of_gate: int | None, outcome: str
) -> None:
    gate: dict[str, object] = {"id": "measured_before"}
    if of_gate is not None:
        gate["evidence_max_age_hours"] = of_gate
    result = asked(gate, evidence_max_age_hours=of_stage).gates.get()
    assert result.outcome == outcome
    assert result.measured_at is not None


def test_what_a_run_says_grows_old_and_the_present_state_does_not() -> None:
    gates = ("success_criteria", "data_quality", "artifact_digest")
    promotion = asked(*({"id": gate} for gate in gates), evidence_max_age_hours=24)
    run = promotion.entry.training_run
    assert run is not None
    report = QualityFactory(training_run=run)
    refresh_gates(promotion=promotion)
    found = {gate.gate_id: (gate.outcome, gate.measured_at) for gate in promotion.gates.all()}
    assert found == {
        "success_criteria": ("pass", run.completed_at),
        "data_quality": ("pass", report.created_at),
        "artifact_digest": ("pass", None),
    }
    for row, field in ((run, "completed_at"), (report, "created_at")):
        type(row).objects.update(**{field: timezone.now() - timedelta(hours=25)})
    refresh_gates(promotion=promotion)
    outcomes = {gate.gate_id: gate.outcome for gate in promotion.gates.all()}
    assert outcomes == {
        "success_criteria": "inconclusive",
        "data_quality": "inconclusive",
        "artifact_digest": "pass",
    }


@pytest.fixture
def odd_gates() -> Iterator[None]:
    @base.gate("odd_evidence", title="Odd evidence")
    def odd_evidence(context: base.GateContext) -> base.Measurement:
        return base.passed("Fine.", evidence={"what": object()})

    @base.gate("no_answer", title="No answer")
    def no_answer(context: base.GateContext) -> base.Measurement:
        return None  # type: ignore[return-value]

    @base.gate("no_number", title="No number")
    def no_number(context: base.GateContext) -> base.Measurement:
        return base.passed("Fine.", evidence={"what": float("nan")})

    @base.gate("bad_query", title="Bad query")
    def bad_query(context: base.GateContext) -> base.Measurement:
        with connection.cursor() as cursor:
            cursor.execute("SELECT nothing FROM nowhere")
        return base.passed("Fine.")

    yield
    for gate_id in ("odd_evidence", "no_answer", "no_number", "bad_query"):
        del base._gates[gate_id]


@pytest.mark.usefixtures("measured_before", "odd_gates")
def test_what_cannot_be_told_is_an_error_of_that_gate_alone() -> None:
    promotion = asked(
        {"id": "measured_before", "evidence_max_age_hours": "soon"},
        {"id": "odd_evidence"},
        {"id": "no_answer"},
        {"id": "no_number"},
        {"id": "bad_query"},
        {"id": "artifact_digest"},
    )
    found = {gate.gate_id: gate for gate in promotion.gates.all()}
    assert {name: gate.outcome for name, gate in found.items()} == {
        "measured_before": "error",
        "odd_evidence": "error",
        "no_answer": "error",
        "no_number": "error",
        "bad_query": "error",
        "artifact_digest": "pass",
    }
    assert "could not be evaluated" in found["measured_before"].summary
    assert found["odd_evidence"].evidence == {}
