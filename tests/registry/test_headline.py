"""The sentence in the header of a promotion."""

from __future__ import annotations

import pytest

from registry.choices import PromotionState
from registry.headline import counting, headline
from registry.models import Promotion
from tests.factories.people import UserFactory
from tests.factories.registry import PromotionFactory, ReviewFactory

pytestmark = pytest.mark.django_db


def _says(promotion: Promotion) -> tuple[str, str]:
    said = headline(promotion, list(promotion.gates.all()), promotion.reviews.all())
    return said.tone, said.sentence


def test_ready_names_whose_approval_is_missing() -> None:
    tone, sentence = _says(PromotionFactory(gates=["pass", "pass"]))
    assert tone == "good"
    assert sentence == "All 2 gates passed; it needs 1 approval by a reviewer or an approver."


@pytest.mark.parametrize(
    ("outcomes", "tone", "start"),
    [
        (["pass", "fail"], "bad", "Not ready: 1 of 2 gates failed."),
        (["pass", "inconclusive"], "warn", "Not ready: 1 of 2 gates is inconclusive."),
        (
            ["inconclusive", "inconclusive", "pass"],
            "warn",
            "Not ready: 2 of 3 gates are inconclusive.",
        ),
        (
            ["inconclusive", "fail", "error"],
            "bad",
            "Not ready: 1 of 3 gates could not be evaluated.",
        ),
    ],
)
def test_not_ready_names_the_worst_gate(outcomes: list[str], tone: str, start: str) -> None:
    said = _says(PromotionFactory(gates=outcomes))
    assert said[0] == tone
    assert said[1].startswith(start)


def test_gates_that_never_ran_are_not_passed() -> None:
    tone, sentence = _says(PromotionFactory(gates_evaluated_at=None))
    assert (tone, sentence) == ("info", "Its gates have not been evaluated yet.")


def test_every_decided_state_has_its_sentence() -> None:
    for state in set(PromotionState) - {PromotionState.OPEN, PromotionState.CHANGES_REQUESTED}:
        assert _says(PromotionFactory(state=state, state_reason="Because."))[1]


def test_requested_changes_quote_the_last_request() -> None:
    promotion = PromotionFactory(
        state=PromotionState.CHANGES_REQUESTED, requester=UserFactory(username="bo")
    )
    ReviewFactory(
        promotion=promotion,
        decision="request_changes",
        reason="Show the calibration.",
        reviewer=UserFactory(username="ana"),
    )
    said = headline(promotion, [], promotion.reviews.all())
    assert said.sentence == "Changes are requested; bo has to answer."
    assert said.detail == "ana: Show the calibration."


def test_only_approvals_of_the_present_evidence_count() -> None:
    promotion = PromotionFactory(gates=["pass"])
    good = ReviewFactory(promotion=promotion, decision="approve")
    ReviewFactory(promotion=promotion, decision="approve", void_reason="The evidence changed.")
    ReviewFactory(promotion=promotion, decision="approve", binding_hash="0" * 64)
    ReviewFactory(promotion=promotion, decision="comment")
    assert counting(promotion, promotion.reviews.all()) == [good]
