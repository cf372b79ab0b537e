"""Taking a version through the stages; demo people are requester and reviewer."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from deployments.actions.windows import evaluate_window
from deployments.choices import VerdictState, WindowState
from deployments.models import ShadowWindow
from e2i_site.demo import people
from e2i_site.demo.work import StepFailed, settle
from registry.actions.measure_version import KIND as MEASURING
from registry.actions.refresh_gates import refresh_gates
from registry.actions.request_promotion import request_promotion
from registry.actions.review_promotion import review_promotion
from registry.choices import UNDECIDED, GateOutcome, PromotionState, ReviewDecision
from registry.models import Promotion, RegistryEntry

if TYPE_CHECKING:
    from django.contrib.auth.models import User

ROLLOUT_SECONDS = 90.0
VERDICT_SECONDS = 60.0
MEASURE_SECONDS = 120.0
# The gateway writes its counts about once a second.
FLUSH_SECONDS = 3.0


def reached(entry: RegistryEntry, stage: str) -> bool:
    """Whether the version has ever been in `stage`."""
    return entry.stage_changes.filter(to_stage=stage).exists()


def promote(
    entry: RegistryEntry, to_stage: str, *, requester: User, reviewer: User, reason: str, word: str
) -> None:
    """Request the move, approve it with `word`, and wait until it is carried out.

    Does nothing when the version has been there. Raises `StepFailed` with the promotion's reason.
    """
    if reached(entry, to_stage):
        return
    promotion = Promotion.objects.open().filter(entry=entry, to_stage=to_stage).first()
    if promotion is None:
        entry.refresh_from_db()
        promotion = request_promotion(
            entry=entry, to_stage=to_stage, reason=reason, requester=requester
        )
    if promotion.state in UNDECIDED:
        promotion = _measured(promotion)
        review_promotion(
            promotion=promotion,
            reviewer=reviewer,
            decision=ReviewDecision.APPROVE,
            reason=word,
            revision=promotion.revision,
            password=people.password(),
        )
    # What later stages ask for is measured meanwhile.
    settle(timeout=ROLLOUT_SECONDS, leave=[MEASURING])
    promotion.refresh_from_db()
    if promotion.state != PromotionState.APPLIED:
        state = promotion.get_state_display()
        raise StepFailed(f"The promotion {promotion} is {state}: {promotion.state_reason}")


def _measured(promotion: Promotion) -> Promotion:
    """The promotion with fresh evidence; waits for what its gates need measured."""
    promotion = refresh_gates(promotion=promotion)
    if promotion.gates.filter(outcome=GateOutcome.INCONCLUSIVE).exists():
        settle(timeout=MEASURE_SECONDS)
        promotion = refresh_gates(promotion=promotion)
    return promotion


def open_window(entry: RegistryEntry) -> ShadowWindow:
    """The version's open shadow window; `StepFailed` when it has none."""
    window = ShadowWindow.objects.filter(entry=entry, state=WindowState.OPEN).first()
    if window is None:
        raise StepFailed(f"{entry} has no open shadow window.")
    return window


def judged(entry: RegistryEntry) -> ShadowWindow:
    """The version's open window, judged on all that was sent."""
    time.sleep(FLUSH_SECONDS)
    return evaluate_window(window=open_window(entry))


def wait_for_verdict(entry: RegistryEntry) -> ShadowWindow:
    """Judge the window until it passes; `StepFailed` with its sentence when it does not."""
    deadline = time.monotonic() + VERDICT_SECONDS
    while True:
        window = evaluate_window(window=open_window(entry))
        if window.verdict == VerdictState.PASS:
            return window
        if window.verdict == VerdictState.FAIL or time.monotonic() > deadline:
            raise StepFailed(
                f"The shadow window of {entry} {window.verdict_detail.get('sentence', '')}."
            )
        time.sleep(1)
