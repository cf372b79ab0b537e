"""Windows are judged by frozen limits, leave looks and trail entries, and are voided by change."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace

import pytest
from django.utils import timezone

from deployments.actions.windows import close_window, evaluate_window, void_window
from deployments.models import Deployment, ShadowWindow
from deployments.shadow.evidence import ShadowLimits
from e2i_site.audit.registry import CheckContext, find
from e2i_site.core.errors import InvalidInput, Refused
from e2i_site.trail.models import TrailEntry
from registry.choices import Stage
from registry.gates.evaluate import measure
from registry.models import GateResult, Promotion, RegistryEntry, StageChange
from tests.deployments.lifecycle import SHADOW, short_policy
from tests.factories.deployments import ShadowWindowFactory, TrafficMinuteFactory
from tests.factories.registry import PolicyFactory, PromotionFactory, digest

SHORT = {**SHADOW, "requests": 3, "p99_ms": 150}


def window_with(requests: int, limits: dict[str, object] | None = None) -> ShadowWindow:
    window: ShadowWindow = ShadowWindowFactory(
        policy=short_policy(requests=3, p99_ms=150), limits=limits or SHORT
    )
    TrafficMinuteFactory(deployment=window.deployment, durations=(5.0,) * requests)
    return window


def closed_window() -> ShadowWindow:
    """A window that passed, of a deployment that has ended."""
    window = window_with(requests=5)
    close_window(deployment=window.deployment, actor=None, reason="Archived.")
    Deployment.objects.filter(pk=window.deployment_id).update(status="retired")
    return window


def events(event: str) -> int:
    return TrailEntry.objects.filter(event=f"deployments.window.{event}").count()


@pytest.mark.django_db
class TestEvaluate:
    def test_a_changed_verdict_is_a_look_and_on_record(self) -> None:
        window = evaluate_window(window=window_with(requests=5))
        assert (window.verdict, window.looks.get().requests) == ("pass", 5)
        assert events("judged") == 1
        evaluate_window(window=window)
        assert (window.looks.count(), events("judged")) == (1, 1)

    def test_a_person_who_looks_leaves_a_look(self, people: SimpleNamespace) -> None:
        window = window_with(requests=1)
        evaluate_window(window=window, actor=people.auditor)
        assert window.looks.get().verdict == "inconclusive"
        with pytest.raises(Refused):
            evaluate_window(window=window, actor=people.viewer)

    def test_the_default_limits_say_what_is_missing(self) -> None:
        window = window_with(requests=588, limits=ShadowLimits().to_json())
        window.opened_at = timezone.now() - timedelta(minutes=2)
        window.save()
        window = evaluate_window(window=window, now=window.opened_at + timedelta(minutes=2))
        assert window.verdict_detail["sentence"] == "needs 23 h 58 min and 412 more requests"

    def test_minutes_before_and_after_the_window_do_not_count(self) -> None:
        window = window_with(requests=2)
        TrafficMinuteFactory(deployment=window.deployment, minutes_ago=60, durations=(5.0,) * 50)
        assert evaluate_window(window=window).verdict == "inconclusive"

    def test_other_bytes_void_it(self) -> None:
        window = window_with(requests=5)
        window.entry.artifact_digest = digest("something else")
        window.entry.save()
        window = evaluate_window(window=window)
        assert (window.state, events("voided")) == ("void", 1)
        assert "other bytes" in window.state_reason

    def test_a_promotion_that_waits_is_evaluated_again(self) -> None:
        window = window_with(requests=5)
        promotion = PromotionFactory(
            entry=window.entry,
            from_stage=Stage.SHADOW,
            to_stage=Stage.PRODUCTION,
            policy=window.policy,
        )
        evaluate_window(window=window)
        gate = GateResult.objects.get(promotion=promotion, gate_id="shadow_evidence")
        assert gate.outcome == "pass"


@pytest.mark.django_db
class TestEnds:
    def test_closing_keeps_the_verdict_of_that_moment(self) -> None:
        window = window_with(requests=5)
        close_window(deployment=window.deployment, actor=None, reason="Promoted.")
        window.refresh_from_db()
        assert (window.state, window.verdict, events("closed")) == ("closed", "pass", 1)

    def test_voiding_needs_a_reason_and_an_operator(self, people: SimpleNamespace) -> None:
        window = window_with(requests=5)
        with pytest.raises(InvalidInput):
            void_window(window=window, actor=people.deployer, reason=" ")
        with pytest.raises(Refused):
            void_window(window=window, actor=people.approver, reason="Test traffic.")
        window = void_window(window=window, actor=people.deployer, reason="Test traffic.")
        assert (window.state, events("voided")) == ("void", 1)
        with pytest.raises(Refused):
            void_window(window=window, actor=people.deployer, reason="Again.")


@pytest.mark.django_db
class TestGate:
    @staticmethod
    def gate(window: ShadowWindow | None = None, **facts: object) -> GateResult:
        from registry.actions.refresh_gates import refresh_gates

        if window is not None:
            facts = {"entry": window.entry, "policy": window.policy, **facts}
        promotion = PromotionFactory(from_stage=Stage.SHADOW, to_stage=Stage.PRODUCTION, **facts)
        refresh_gates(promotion=promotion)
        return GateResult.objects.get(promotion=promotion, gate_id="shadow_evidence")

    def test_no_window_is_inconclusive(self) -> None:
        gate = self.gate(policy=short_policy())
        assert (gate.outcome, gate.summary) == (
            "inconclusive",
            "No shadow window measured this version.",
        )

    def test_enough_evidence_passes_and_binds_the_verdict(self) -> None:
        window = window_with(requests=5)
        gate = self.gate(window)
        assert (gate.outcome, gate.sample_size) == ("pass", 5)
        TrafficMinuteFactory(deployment=window.deployment, minutes_ago=0, durations=(6.0,) * 9)
        from registry.actions.refresh_gates import refresh_gates

        refresh_gates(promotion=gate.promotion)
        later = GateResult.objects.get(pk=gate.pk)
        assert later.sample_size == 14
        assert later.evidence_hash == gate.evidence_hash

    def test_missing_evidence_blocks(self) -> None:
        gate = self.gate(window_with(requests=2))
        assert gate.outcome == "inconclusive"
        assert "1 more requests" in gate.summary

    def test_errors_fail_it(self) -> None:
        window = window_with(requests=5)
        window.deployment.traffic_minutes.update(errors=5)
        assert self.gate(window).outcome == "fail"

    def test_a_void_window_does_not_count(self) -> None:
        window = window_with(requests=5)
        void_window(window=window, actor=None, reason="Test traffic.")
        gate = self.gate(window)
        assert (gate.outcome, gate.summary) == (
            "inconclusive",
            "Its window is void: Test traffic.",
        )

    def test_a_void_window_does_not_make_an_older_one_count_again(self) -> None:
        older = closed_window()
        window = ShadowWindowFactory(
            deployment__entry=older.entry,
            policy=older.policy,
            limits=SHORT,
            opened_at=timezone.now() - timedelta(minutes=1),
        )
        void_window(window=window, actor=None, reason="Test traffic")
        assert self.gate(window).summary == "Its window is void: Test traffic."

    def test_a_window_of_an_earlier_stay_in_shadow_does_not_count(self) -> None:
        window = window_with(requests=5)
        entered = {"entry": window.entry, "from_stage": "staging", "to_stage": "shadow"}
        StageChange.objects.create(**entered, cause="promotion", at=window.opened_at)
        assert self.gate(window).outcome == "pass"
        GateResult.objects.all().delete()
        Promotion.objects.all().delete()
        StageChange.objects.create(**entered, cause="promotion", at=timezone.now())
        assert self.gate(window).summary == "No shadow window measured this version."

    @pytest.mark.parametrize(("hours", "outcome"), [(24, "inconclusive"), (26, "pass")])
    def test_traffic_may_be_too_old(self, hours: int, outcome: str) -> None:
        stages = short_policy(requests=3, p99_ms=150).stages
        stages["production"]["evidence_max_age_hours"] = hours
        window = ShadowWindowFactory(
            policy=PolicyFactory(stages=stages),
            limits=SHORT,
            opened_at=timezone.now() - timedelta(hours=30),
        )
        for minutes, durations in ((29 * 60, (5.0,) * 4), (25 * 60, (5.0,)), (5, ())):
            TrafficMinuteFactory(
                deployment=window.deployment, minutes_ago=minutes, durations=durations
            )
        gate = self.gate(window)
        assert gate.outcome == outcome
        assert gate.measured_at == window.deployment.traffic_minutes.get(requests=1).minute

    def test_a_window_without_traffic_is_as_old_as_its_end(self) -> None:
        window = window_with(requests=0)
        assert self.gate(window).measured_at == window.opened_at
        Promotion.objects.all().update(state="withdrawn")
        close_window(deployment=window.deployment, actor=None, reason="Archived.")
        window.refresh_from_db()
        promotion = PromotionFactory(
            entry=window.entry, policy=window.policy, to_stage=Stage.PRODUCTION
        )
        (gate,) = [each for each in measure(promotion) if each.gate_id == "shadow_evidence"]
        assert gate.measured_at == window.closed_at

    def test_limits_other_than_the_policys_do_not_count(self) -> None:
        window = window_with(requests=5)
        gate = self.gate(window, policy=short_policy(requests=1000))
        assert gate.outcome == "inconclusive"
        assert "other limits" in gate.summary


@pytest.mark.django_db
def test_a_void_window_is_no_evidence_for_what_is_in_production() -> None:
    older = closed_window()
    RegistryEntry.objects.update(stage=Stage.PRODUCTION)
    assert production_has_evidence() == [("pass", f"Passed under {older.policy}.")]
    ShadowWindowFactory(
        deployment__entry=older.entry,
        opened_at=timezone.now(),
        state="void",
        state_reason="Test traffic.",
    )
    assert production_has_evidence() == [("fail", "Its shadow evidence is void: Test traffic.")]


def production_has_evidence() -> list[tuple[str, str]]:
    check = find("4.3")
    assert check is not None
    return [(each.outcome, each.message) for each in check.function(CheckContext(check))]
