"""Whatever changes a stage behind the actions is found by the check that is there for it."""

from __future__ import annotations

import pytest
from django.utils import timezone

from e2i_site.audit.models import Finding
from registry.choices import GateOutcome, PromotionState, Stage, StageCause
from registry.models import GateResult, RegistryEntry, Review, StageChange
from tests.factories.registry import EntryFactory
from tests.registry.audit_checks.conftest import audit, messages

pytestmark = pytest.mark.django_db


def test_a_version_that_went_the_way_passes_both(staged):
    legal, workflow = audit("4.2b"), audit("5.3")
    assert (legal.outcome, legal.passed) == ("pass", 1)
    assert (workflow.outcome, workflow.passed) == ("pass", 1)


def test_versions_in_development_without_history_are_nothing_to_look_at(model):
    EntryFactory(model=model)
    assert audit("4.2b").outcome == "not_applicable"
    assert audit("5.3").outcome == "not_applicable"


def test_a_stage_written_into_the_database_is_found(staged):
    RegistryEntry.objects.update(stage=Stage.PRODUCTION)
    result = audit("4.2b")
    assert result.outcome == "fail"
    assert "It is in production, but the last recorded step ended in staging." in messages(result)
    assert Finding.objects.get().priority == "P0"


def test_a_stage_without_any_step_is_found(model):
    EntryFactory(model=model, stage=Stage.SHADOW)
    assert "no step to it is recorded" in messages(audit("4.2b"))


def test_a_step_that_skips_a_stage_is_found(staged):
    StageChange.objects.update(to_stage=Stage.PRODUCTION)
    RegistryEntry.objects.update(stage=Stage.PRODUCTION)
    found = messages(audit("4.2b"))
    assert "development → production is not allowed" in found
    assert "no entry for the step development → production" in found


def test_a_step_without_its_trail_entry_is_found(staged):
    StageChange.objects.create(
        entry=staged.entry,
        from_stage=Stage.STAGING,
        to_stage=Stage.DEPRECATED,
        cause=StageCause.DEPRECATION,
        at=timezone.now(),
    )
    RegistryEntry.objects.update(stage=Stage.DEPRECATED)
    assert messages(audit("4.2b")) == ("The trail has no entry for the step staging → deprecated.")


def test_a_step_without_promotion_is_found(staged):
    StageChange.objects.update(promotion=None)
    assert "names no promotion" in messages(audit("4.2b"))


def test_a_restore_is_legal_and_needs_its_promotion(staged):
    StageChange.objects.filter(to_stage="staging").update(from_stage="archived", cause="restore")
    assert "not allowed for a restore" not in messages(audit("4.2b"))
    StageChange.objects.filter(to_stage="staging").update(from_stage="shadow")
    assert "The step shadow → staging is not allowed for a restore." in messages(audit("4.2b"))
    StageChange.objects.update(from_stage="archived", promotion=None)
    assert "The step archived → staging names no promotion." in messages(audit("4.2b"))


def test_an_approval_that_was_taken_away_is_found(staged):
    Review.objects.update(void_reason="not any more")
    result = audit("5.3")
    assert "It lacks 1 approval by" in messages(result)
    assert Finding.objects.get(check_id="5.3").priority == "P0"


def test_an_approval_by_the_requester_does_not_count(staged):
    Review.objects.update(reviewer=staged.requester)
    assert "It lacks 1 approval by a reviewer" in messages(audit("5.3"))


def test_an_approval_of_other_evidence_does_not_count(staged):
    Review.objects.update(binding_hash="0" * 64)
    assert "It lacks 1 approval by a reviewer" in messages(audit("5.3"))


def test_a_gate_that_did_not_pass_is_found(staged):
    GateResult.objects.filter(gate_id="signature").update(outcome=GateOutcome.FAIL)
    assert messages(audit("5.3")) == "Gate signature was fail when it was decided."


def test_a_gate_that_was_never_evaluated_is_found(staged):
    GateResult.objects.filter(gate_id="signature").delete()
    assert messages(audit("5.3")) == "Gate signature was never evaluated."


def test_other_bytes_than_the_approved_ones_are_found(staged):
    RegistryEntry.objects.update(artifact_digest="f" * 64)
    assert "digest is no longer the one that was approved" in messages(audit("5.3"))


def test_a_promotion_marked_as_done_without_its_trail_is_found(staged):
    twin = staged
    twin.pk = None
    twin.to_stage = Stage.SHADOW
    twin.save()
    assert twin.state == PromotionState.APPLIED
    found = messages(audit("5.3"))
    for word in ("request", "review", "approval", "carrying out"):
        assert f"The trail has no entry for its {word}." in found
