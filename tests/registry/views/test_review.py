"""The review page: who may decide, what is recorded, and what a late reviewer sees."""

from __future__ import annotations

import re
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from e2i_site.trail.models import TrailEntry
from registry.actions.review_promotion import review_promotion
from registry.choices import PromotionState, Stage
from registry.models import GateResult, Promotion, RegistryEntry, Review
from tests.factories.people import PASSWORD, UserFactory
from tests.factories.registry import PolicyFactory
from tests.registry.views.reading import hidden, text_of, words_of

pytestmark = pytest.mark.django_db
Decide = Callable[..., Any]
Browser = Callable[[User], Client]


def test_anonymous_people_are_sent_to_the_login(client: Client, promotion: Promotion) -> None:
    for response in (
        client.get(promotion.get_absolute_url()),
        client.post(promotion.get_absolute_url(), {"decision": "approve"}),
    ):
        assert response.status_code == 302
        assert "login" in response["Location"]
    assert not Review.objects.exists()


def test_an_unknown_promotion_is_404(browser: Browser, approver: User) -> None:
    assert browser(approver).get("/registry/promotions/404404/").status_code == 404


def test_the_page_answers_the_reviewers_questions(
    browser: Browser, approver: User, promotion: Promotion
) -> None:
    text = text_of(browser(approver).get(promotion.get_absolute_url()))
    assert "All 2 gates passed; it needs 1 approval by a reviewer or an approver." in text
    assert "For tests only." in text
    assert promotion.artifact_digest in text
    assert promotion.binding_hash in text
    assert "Better calibrated." in text
    assert "ROC AUC" in text
    assert "num_leaves" in text


def test_each_gate_says_what_was_measured(
    browser: Browser, approver: User, promotion: Promotion
) -> None:
    text = text_of(browser(approver).get(promotion.get_absolute_url()))
    for gate in promotion.gates.all():
        assert gate.summary in text
        assert gate.evidence_hash[:8] in text


def test_only_gates_that_block_count_as_passed(
    browser: Browser, approver: User, promotion: Promotion
) -> None:
    first, *others = promotion.gates.all()
    GateResult.objects.filter(pk=first.pk).update(outcome="fail", dry_run=True)
    words = words_of(browser(approver).get(promotion.get_absolute_url()))
    assert f"Gates passed {len(others)} of {len(others)} 0 of 1 dry runs" in words


# --- deciding ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("role", "allowed"),
    [
        ("viewer", False),
        ("requester", False),
        ("reviewer", True),
        ("approver", True),
        ("deployer", False),
        ("auditor", False),
        ("administrator", False),
    ],
)
@pytest.mark.parametrize("decision", ["approve", "reject", "request_changes"])
def test_only_the_policys_roles_decide(
    decide: Decide, promotion: Promotion, role: str, allowed: bool, decision: str
) -> None:
    response = decide(promotion, UserFactory(roles=[role]), decision)
    assert response.status_code == (303 if allowed else 403)
    assert Review.objects.count() == int(allowed)
    if not allowed:
        assert "needs the role reviewer or approver" in text_of(response)
        promotion.refresh_from_db()
        assert promotion.state == PromotionState.OPEN


def test_an_approval_is_on_record_and_moves_the_version(
    decide: Decide, approver: User, promotion: Promotion
) -> None:
    response = decide(promotion, approver, "approve", reason="The calibration convinced me.")
    assert response.status_code == 303
    review = Review.objects.get()
    assert (review.reviewer, review.decision) == (approver, "approve")
    assert review.binding_hash == promotion.binding_hash
    promotion.refresh_from_db()
    assert promotion.state == PromotionState.APPLIED
    assert promotion.entry.stage == Stage.STAGING or RegistryEntry.objects.filter(
        pk=promotion.entry_id, stage=Stage.STAGING
    )
    events = TrailEntry.objects.filter(actor=approver).order_by("id")
    assert [entry.event for entry in events][:2] == [
        "registry.promotion.reviewed",
        "registry.promotion.approved",
    ]
    assert events[0].reason == "The calibration convinced me."
    assert events[0].source == "web"
    assert len({entry.request_id for entry in events}) == 1


def test_a_rejection_is_on_record(
    browser: Browser, decide: Decide, approver: User, promotion: Promotion
) -> None:
    decide(promotion, approver, "reject", reason="Too few rows.")
    promotion.refresh_from_db()
    assert promotion.state == PromotionState.REJECTED
    assert TrailEntry.objects.filter(event="registry.promotion.rejected").count() == 1
    text = text_of(browser(approver).get(promotion.get_absolute_url()))
    assert "Rejected: Too few rows." in text


def test_changes_are_requested_and_answered(
    decide: Decide, approver: User, requester: User, promotion: Promotion
) -> None:
    decide(promotion, approver, "request_changes", reason="Show the slices.")
    refused = decide(promotion, approver, "approve")
    assert refused.status_code == 403
    assert "the requester has to answer first" in text_of(refused)
    assert decide(promotion, requester, "resubmit", reason="Added.").status_code == 303
    assert decide(promotion, approver, "approve").status_code == 303
    promotion.refresh_from_db()
    assert promotion.state == PromotionState.APPLIED


def test_the_requester_withdraws_and_nobody_else(
    decide: Decide, approver: User, requester: User, promotion: Promotion
) -> None:
    assert decide(promotion, approver, "withdraw").status_code == 403
    assert decide(promotion, requester, "withdraw", reason="Found a bug.").status_code == 303
    promotion.refresh_from_db()
    assert (promotion.state, promotion.state_reason) == (PromotionState.WITHDRAWN, "Found a bug.")


def test_the_requester_sees_why_the_buttons_are_off(
    browser: Browser, decide: Decide, promotion: Promotion
) -> None:
    author = promotion.requester
    author.groups.add(*UserFactory(roles=["approver"]).groups.all())
    response = browser(author).get(promotion.get_absolute_url())
    assert "You requested it; somebody else decides." in text_of(response)
    choice = re.search(r'<input[^>]*value="approve"[^>]*>', response.content.decode())
    assert choice and "disabled" in choice[0]
    assert decide(promotion, author, "approve").status_code == 403


def test_without_a_reason_nothing_is_decided(
    decide: Decide, approver: User, promotion: Promotion
) -> None:
    response = decide(promotion, approver, "approve", reason="  ")
    assert response.status_code == 400
    assert "Give a reason" in text_of(response)
    assert not Review.objects.exists()


@pytest.mark.parametrize(
    "data",
    [{"decision": "bless"}, {"revision": "now"}, {"revision": "-1"}, {"seen": "{"}, {"seen": "[]"}],
)
def test_a_forged_form_is_harmless(
    browser: Browser, approver: User, promotion: Promotion, data: dict[str, str]
) -> None:
    form = {"decision": "comment", "reason": "x", "revision": "1", "seen": "{}", **data}
    response = browser(approver).post(promotion.get_absolute_url(), form)
    assert response.status_code in (303, 400)
    assert not Review.objects.exclude(decision="comment").exists()


def test_deciding_needs_the_csrf_token(approver: User, promotion: Promotion) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(approver)
    form = {"decision": "approve", "reason": "x", "revision": promotion.revision}
    assert client.post(promotion.get_absolute_url(), form).status_code == 403
    assert not Review.objects.exists()


# --- two people at once -----------------------------------------------------------------------


def test_a_late_reviewer_decides_nothing_and_sees_what_changed(
    browser: Browser, approver: User, promotion: Promotion
) -> None:
    page = browser(approver).get(promotion.get_absolute_url())
    RegistryEntry.objects.filter(pk=promotion.entry_id).update(signature={"inputs": []})
    response = browser(approver).post(
        promotion.get_absolute_url(),
        {
            "decision": "approve",
            "reason": "Looked good to me.",
            "revision": hidden(page, "revision"),
            "password": PASSWORD,
            "seen": hidden(page, "seen"),
        },
    )
    assert response.status_code == 409
    text = text_of(response)
    assert "Signature: Passed → Failed." in text
    assert "Looked good to me." in text
    assert not Review.objects.exists()
    promotion.refresh_from_db()
    assert promotion.state == PromotionState.OPEN
    assert int(hidden(response, "revision")) == promotion.revision


def test_after_a_conflict_the_same_form_can_decide(
    browser: Browser, approver: User, promotion: Promotion
) -> None:
    form = {
        "decision": "approve",
        "reason": "Good.",
        "revision": promotion.revision,
        "password": PASSWORD,
        "seen": "{}",
    }
    Promotion.objects.filter(pk=promotion.pk).update(revision=promotion.revision + 1)
    late = browser(approver).post(promotion.get_absolute_url(), form)
    assert late.status_code == 409
    again = {**form, "revision": hidden(late, "revision"), "seen": hidden(late, "seen")}
    assert browser(approver).post(promotion.get_absolute_url(), again).status_code == 303
    assert Review.objects.count() == 1


def test_a_review_in_between_is_shown(
    browser: Browser, approver: User, promotion: Promotion
) -> None:
    page = browser(approver).get(promotion.get_absolute_url())
    other = UserFactory(username="olga", roles=["reviewer"])
    review_promotion(
        promotion=promotion,
        reviewer=other,
        decision="request_changes",
        reason="Wait for me.",
        revision=promotion.revision,
        password=PASSWORD,
    )
    response = browser(approver).post(
        promotion.get_absolute_url(),
        {
            "decision": "approve",
            "reason": "Good.",
            "revision": hidden(page, "revision"),
            "password": PASSWORD,
            "seen": hidden(page, "seen"),
        },
    )
    assert response.status_code == 409
    assert "olga: changes requested. Wait for me." in text_of(response)


def test_a_second_click_of_the_same_person_is_one_approval(
    decide: Decide, promotion: Promotion
) -> None:
    stages = deepcopy(promotion.policy.stages)
    stages["staging"]["approvals"]["count"] = 2
    PolicyFactory(name=promotion.policy.name, version=2, stages=stages)
    reviewer = UserFactory(roles=["reviewer"])
    assert decide(promotion, reviewer, "comment").status_code == 303
    first = decide(promotion, reviewer, "approve")
    if first.status_code == 409:  # the changed policy made a new revision
        first = decide(promotion, reviewer, "approve")
    assert first.status_code == 303
    assert decide(promotion, reviewer, "approve").status_code == 409
    assert Review.objects.filter(decision="approve", void_reason="").count() == 1
