"""Signatures: who proved it, what is signed, and what shows that it was changed afterwards."""

from __future__ import annotations

import logging
from io import StringIO
from typing import Any

import pytest
from axes.models import AccessAttempt
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connection

from e2i_site.accounts.reauthentication import LockedOut
from e2i_site.audit.registry import CheckContext, find
from e2i_site.core.errors import InvalidInput, Refused
from e2i_site.trail.models import TrailEntry
from registry.actions.request_promotion import request_promotion
from registry.actions.review_promotion import review_promotion
from registry.choices import PromotionState
from registry.models import GateResult, Promotion, Review
from registry.signature import problems, verified
from tests.factories.people import PASSWORD, UserFactory
from tests.factories.registry import STAGES, EntryFactory, ModelFactory, PolicyFactory

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("quiet_broker")]
REFUSED = "registry.promotion.identity_not_proven"


@pytest.fixture
def promotion() -> Promotion:
    PolicyFactory(name="light", stages=STAGES)
    return request_promotion(
        entry=EntryFactory(model=ModelFactory(name="churn", policy_name="light")),
        to_stage="staging",
        reason="Better.",
        requester=UserFactory(roles=["requester"]),
    )


@pytest.fixture
def reviewer() -> User:
    return UserFactory(username="amina", first_name="Amina", last_name="Haddad", roles=["reviewer"])


def _decide(promotion: Promotion, user: User, decision: str = "approve", **more: Any) -> Review:
    given = {"password": PASSWORD, "revision": promotion.revision, "reason": "I read it.", **more}
    return review_promotion(promotion=promotion, reviewer=user, decision=decision, **given)


def test_an_approval_prints_who_when_and_what_it_means(
    promotion: Promotion, reviewer: User
) -> None:
    review = _decide(promotion, reviewer)
    review.refresh_from_db()
    assert review.signer_name == "Amina Haddad"
    assert review.meaning == "I approve churn v1 for staging on this evidence."
    assert review.signed_at is not None and review.signed_at.tzname() == "UTC"
    bound = review.statement["bound"]
    assert bound["digest"] == promotion.artifact_digest
    assert bound["policy"] == ["light", 1]
    assert bound["gates"] == [
        [gate.gate_id, "pass", gate.evidence_hash] for gate in promotion.gates.all()
    ]
    entry = TrailEntry.objects.get(event="registry.promotion.reviewed")
    assert entry.new["signature"] == review.signature_hash
    assert problems(review, [review.signature_hash]) == []


@pytest.mark.parametrize("decision", ["approve", "reject", "request_changes"])
@pytest.mark.parametrize("password", ["", "wrong", PASSWORD + " "])
def test_nothing_is_decided_without_the_password(
    promotion: Promotion, reviewer: User, decision: str, password: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        _decide(promotion, reviewer, decision, password=password)
    assert refused.value.field == "password"
    promotion.refresh_from_db()
    assert promotion.state == PromotionState.OPEN
    assert not Review.objects.exists()
    assert TrailEntry.objects.filter(event=REFUSED).count() == (1 if password else 0)


def test_a_comment_is_not_signed(promotion: Promotion, reviewer: User) -> None:
    review = _decide(promotion, reviewer, "comment", password="")
    assert (review.signature_hash, review.signer_name) == ("", "")


def test_a_signature_needs_a_name(promotion: Promotion) -> None:
    nameless = UserFactory(first_name="", last_name="", roles=["reviewer"])
    with pytest.raises(Refused, match="no full name"):
        _decide(promotion, nameless)
    assert not Review.objects.exists()


def test_wrong_passwords_lock_like_logins_and_the_right_one_frees(
    promotion: Promotion, reviewer: User, settings: Any, client: Any
) -> None:
    settings.AXES_ENABLED = True
    settings.AXES_FAILURE_LIMIT = 3
    for _ in range(2):
        with pytest.raises(InvalidInput, match="not your password"):
            _decide(promotion, reviewer, password="wrong")
    _decide(promotion, reviewer, "request_changes")
    assert not AccessAttempt.objects.exists()
    promotion.refresh_from_db()
    for _ in range(2):
        with pytest.raises(InvalidInput):
            _decide(promotion, reviewer, "reject", password="wrong")
    for password in ("wrong", PASSWORD):
        with pytest.raises(LockedOut, match="wait 15 minutes"):
            _decide(promotion, reviewer, "reject", password=password)
    login = client.post("/accounts/login/", {"username": "amina", "password": PASSWORD})
    assert login.status_code == 429
    promotion.refresh_from_db()
    assert promotion.state == PromotionState.CHANGES_REQUESTED
    assert TrailEntry.objects.filter(event=REFUSED, actor=reviewer).count() == 6


def test_who_may_not_decide_is_told_so_before_a_password_counts(promotion: Promotion) -> None:
    with pytest.raises(Refused, match="needs the role"):
        _decide(promotion, UserFactory(roles=["viewer"]), password="wrong")
    assert not TrailEntry.objects.filter(event=REFUSED).exists()


def test_the_password_is_kept_nowhere(
    promotion: Promotion, reviewer: User, caplog: pytest.LogCaptureFixture
) -> None:
    secret = "correct horse battery staple"
    reviewer.set_password(secret)
    reviewer.save()
    with caplog.at_level(logging.DEBUG):
        with pytest.raises(InvalidInput):
            _decide(promotion, reviewer, password=secret + "!")
        _decide(promotion, reviewer, password=secret)
    assert secret not in caplog.text
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names():
            cursor.execute(f'SELECT * FROM "{table}"')
            assert secret not in repr(cursor.fetchall()), table


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"reason": "I did not read it."}, "differs from the signed statement in: reason"),
        ({"signer_name": "Somebody Else"}, "differs from the signed statement in: name"),
        ({"decision": "reject"}, "differs from the signed statement in: decision"),
        ({"binding_hash": "0" * 64}, "binding_hash"),
        ({"signature_hash": "0" * 64}, "The trail holds no such signature"),
        ({"statement": {}}, "The signed statement was changed"),
    ],
)
def test_a_changed_row_does_not_verify(
    promotion: Promotion, reviewer: User, change: dict[str, Any], says: str
) -> None:
    review = _decide(promotion, reviewer)
    call_command("verify_signatures", stdout=StringIO())
    Review.objects.filter(pk=review.pk).update(**change)
    ((_, found),) = verified()
    assert says in " ".join(found)
    out = StringIO()
    with pytest.raises(SystemExit):
        call_command("verify_signatures", stdout=out)
    assert says in out.getvalue()
    check = find("5.3c")
    assert check is not None
    (outcome,) = check.function(CheckContext(check))
    assert (outcome.outcome, outcome.priority) == ("fail", "P0")
    assert says in outcome.message


def test_a_statement_made_anew_still_needs_the_trail(promotion: Promotion, reviewer: User) -> None:
    """Whoever can write to the table can compute a hash, but not the trail's chain."""
    review = _decide(promotion, reviewer)
    review.reason = "Forged."
    review.statement["reason"] = "Forged."
    from registry.gates.evaluate import content_hash

    review.signature_hash = content_hash(review.statement)
    review.save()
    ((_, found),) = verified()
    assert found == ["The trail holds no such signature."]


def test_evidence_that_was_changed_under_the_reviewer_is_not_signed(
    promotion: Promotion, reviewer: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    from registry.actions import review_promotion as action

    def tampered(*, promotion: Promotion) -> None:
        GateResult.objects.filter(promotion=promotion).update(evidence_hash="f" * 64)

    monkeypatch.setattr(action, "refresh_gates", tampered)
    with pytest.raises(action.Conflict, match="evidence changed just now"):
        _decide(promotion, reviewer)
    assert not Review.objects.exists()
