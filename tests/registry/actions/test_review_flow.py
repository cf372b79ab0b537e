"""Assignment, mentions, reminders and expiry of promotions."""

from __future__ import annotations

from copy import deepcopy
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from e2i_site.core.errors import Conflict, InvalidInput, Refused
from e2i_site.jobs.enqueue import enqueue
from e2i_site.jobs.models import JobState
from e2i_site.jobs.runner import run
from e2i_site.notifications.models import InboxItem
from e2i_site.trail.models import TrailEntry
from registry import notification_events as told
from registry.actions.assign_reviewers import assign_reviewers
from registry.actions.deadlines import expire_promotion, remind
from registry.actions.request_promotion import request_promotion
from registry.actions.review_promotion import review_promotion
from registry.choices import PromotionState
from registry.mentions import linked
from registry.models import Promotion, Review
from tests.factories.people import PASSWORD, UserFactory
from tests.factories.registry import STAGES, EntryFactory, ModelFactory, PolicyFactory

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("quiet_broker")]


@pytest.fixture
def requester() -> User:
    return UserFactory(username="dana", roles=["requester"])


@pytest.fixture
def amina() -> User:
    return UserFactory(username="amina", roles=["approver"])


@pytest.fixture
def promotion(requester: User) -> Promotion:
    stages = deepcopy(STAGES)
    stages["staging"] |= {"expires_after_days": 14, "remind_after_hours": 24}
    PolicyFactory(name="light", stages=stages)
    return request_promotion(
        entry=EntryFactory(model=ModelFactory(name="churn", policy_name="light")),
        to_stage="staging",
        reason="Better.",
        requester=requester,
    )


def _say(promotion: Promotion, user: User, reason: str, decision: str = "comment") -> Review:
    promotion.refresh_from_db()
    return review_promotion(
        promotion=promotion,
        reviewer=user,
        decision=decision,
        reason=reason,
        revision=promotion.revision,
        password=PASSWORD,
    )


def _told(event: str) -> set[str]:
    items = InboxItem.objects.filter(message__event=event)
    return set(items.values_list("user__username", flat=True))


# --- assignment -------------------------------------------------------------------------------


def test_whoever_is_asked_is_told_and_on_record(
    promotion: Promotion, requester: User, amina: User
) -> None:
    before = promotion.revision
    assign_reviewers(promotion=promotion, names=["amina", " reviewer"], actor=requester)
    promotion.refresh_from_db()
    assert {each.name for each in promotion.assignments.all()} == {"amina", "reviewer"}
    assert promotion.revision == before + 1
    entry = TrailEntry.objects.get(event="registry.promotion.assigned")
    assert entry.new["reviewers"] == ["amina", "reviewer"]
    assert "amina" in _told(told.REVIEW_NEEDED)
    assign_reviewers(promotion=promotion, names=["reviewer"], actor=requester)
    assert [each.name for each in promotion.assignments.all()] == ["reviewer"]
    assign_reviewers(promotion=promotion, names=["reviewer"], actor=requester)
    assert TrailEntry.objects.filter(event="registry.promotion.assigned").count() == 2


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("nobody", "no group is called nobody"),
        ("vera", "vera cannot decide"),
        ("dana", "dana cannot decide"),
        ("auditor", "not for the group auditor"),
    ],
)
def test_only_who_can_decide_is_asked(
    promotion: Promotion, requester: User, name: str, says: str
) -> None:
    UserFactory(username="vera", roles=["viewer", "auditor"])
    with pytest.raises(InvalidInput, match=says):
        assign_reviewers(promotion=promotion, names=[name], actor=requester)
    assert not promotion.assignments.exists()


def test_others_do_not_choose_reviewers(promotion: Promotion, amina: User) -> None:
    with pytest.raises(Refused, match="requester or an administrator"):
        assign_reviewers(promotion=promotion, names=["amina"], actor=amina)
    admin = UserFactory(roles=["administrator"])
    assign_reviewers(promotion=promotion, names=["amina"], actor=admin)


# --- comments and mentions --------------------------------------------------------------------


def test_a_mention_reaches_people_who_exist(
    promotion: Promotion, requester: User, amina: User
) -> None:
    review = _say(promotion, requester, "@amina, see @ghost and mail me@amina.org. Thanks @amina.")
    assert review.mentions == ["amina"]
    assert _told(told.MENTIONED) == {"amina"}
    html = linked(review.reason, review.mentions)
    assert html.count('<a href="/trail/?actor=amina">@amina</a>') == 2
    assert "@ghost" in html and "ghost</a>" not in html


@given(text=st.text(alphabet="@amin<>&\"' .+-_\n", max_size=60))
def test_linking_never_lets_markup_through(text: str) -> None:
    html = linked(text, ["amina"])
    without = html.replace('<a href="/trail/?actor=amina">', "").replace("</a>", "")
    assert "<" not in without and ">" not in without and '"' not in without


def test_a_comment_comes_between_a_reviewer_and_the_decision(
    promotion: Promotion, requester: User, amina: User
) -> None:
    seen = promotion.revision
    _say(promotion, requester, "Wait, the slice for region 4 is empty.")
    with pytest.raises(Conflict):
        review_promotion(
            promotion=promotion,
            reviewer=amina,
            decision="approve",
            reason="Fine.",
            revision=seen,
            password=PASSWORD,
        )
    assert _say(promotion, amina, "I saw it; fine.", "approve").decision == "approve"
    assert _told(told.DECIDED) == {"dana"}
    assert _told(told.ROLLED_OUT) == {"dana"}


# --- time -------------------------------------------------------------------------------------


def _aged(promotion: Promotion, **age: float) -> Promotion:
    Promotion.objects.filter(pk=promotion.pk).update(created_at=timezone.now() - timedelta(**age))
    promotion.refresh_from_db()
    return promotion


def test_a_request_expires_and_can_be_made_again(
    promotion: Promotion, requester: User, amina: User
) -> None:
    assert not expire_promotion(promotion=_aged(promotion, days=13.9))
    assert expire_promotion(promotion=_aged(promotion, days=14.1))
    assert not expire_promotion(promotion=promotion)
    promotion.refresh_from_db()
    assert promotion.state == PromotionState.EXPIRED
    assert "14 days that policy light v1 allows" in promotion.state_reason
    assert TrailEntry.objects.filter(event="registry.promotion.expired").count() == 1
    assert _told(told.EXPIRED) == {"amina", "dana"}
    with pytest.raises(Refused, match="It is expired"):
        _say(promotion, amina, "Too late.", "approve")
    request_promotion(
        entry=promotion.entry, to_stage="staging", reason="Again.", requester=requester
    )


def test_a_reminder_once_a_period(promotion: Promotion, requester: User, amina: User) -> None:
    assert not remind(promotion=_aged(promotion, hours=23))
    assert remind(promotion=_aged(promotion, hours=25))
    assert not remind(promotion=_aged(promotion, hours=47))
    assert remind(promotion=_aged(promotion, hours=100))
    assert not remind(promotion=promotion)
    assert TrailEntry.objects.filter(event="registry.promotion.reminded").count() == 2
    items = InboxItem.objects.filter(message__event=told.REMINDER)
    assert sorted(items.values_list("user__username", flat=True)) == ["amina", "amina"]


def test_who_has_to_answer_is_reminded(promotion: Promotion, requester: User, amina: User) -> None:
    _say(promotion, amina, "Show the slices.", "request_changes")
    assert remind(promotion=_aged(promotion, hours=25))
    assert _told(told.REMINDER) == {"dana"}


def test_the_job_does_both(promotion: Promotion, amina: User) -> None:
    _aged(promotion, hours=25)
    for expected in ({"expired": 0, "reminded": 1}, {"expired": 0, "reminded": 0}):
        assert _job() == expected
    _aged(promotion, days=20)
    assert _job() == {"expired": 1, "reminded": 0}


def test_without_rules_nothing_happens(requester: User) -> None:
    PolicyFactory(name="plain", stages=STAGES)
    found = request_promotion(
        entry=EntryFactory(model=ModelFactory(policy_name="plain")),
        to_stage="staging",
        reason="Better.",
        requester=requester,
    )
    _aged(found, days=900)
    assert not expire_promotion(promotion=found)
    assert not remind(promotion=found)


def _job() -> Any:
    job = enqueue("registry.deadlines")
    run(job.pk)
    job.refresh_from_db()
    assert job.state == JobState.SUCCEEDED, job.message
    return job.result
