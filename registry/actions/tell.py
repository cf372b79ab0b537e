"""Who is told what about a promotion, inside the transaction of the act."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from django.contrib.auth.models import User

from e2i_site.notifications.notify import notify
from registry import notification_events
from registry.choices import PromotionState, ReviewDecision
from registry.models import Promotion, Review
from registry.policies import may_decide_groups

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser


def way(promotion: Promotion) -> str:
    """ "churn v2 to staging"."""
    return f"{promotion.entry} to {promotion.to_stage}"


def asked_to_review(promotion: Promotion) -> tuple[list[User], list[str]]:
    """The people and the groups who are asked: those assigned, else whoever may decide."""
    assigned = list(promotion.assignments.select_related("person"))
    people = [each.person for each in assigned if each.person is not None]
    groups = [each.group for each in assigned if each.group]
    return people, groups if assigned else list(may_decide_groups(promotion))


def review_needed(promotion: Promotion, *, actor: AbstractBaseUser | None, text: str) -> None:
    people, groups = asked_to_review(promotion)
    notify(
        notification_events.REVIEW_NEEDED,
        subject=promotion,
        title=f"{way(promotion)} needs a review",
        text=text,
        recipients=people,
        audience=groups,
        actor=actor,
    )


def assigned(
    promotion: Promotion, *, people: Iterable[User], groups: Iterable[str], actor: User
) -> None:
    notify(
        notification_events.REVIEW_NEEDED,
        subject=promotion,
        title=f"{actor.get_username()} asks you to review {way(promotion)}",
        text=promotion.reason,
        recipients=people,
        audience=groups,
        actor=actor,
    )


def reviewed(review: Review, mentioned: list[User]) -> None:
    """The requester hears of a decision, those in the discussion of a comment."""
    promotion, actor = review.promotion, review.reviewer
    notify(
        notification_events.MENTIONED,
        subject=promotion,
        title=f"{actor.get_username()} mentions you on {way(promotion)}",
        text=review.reason,
        recipients=mentioned,
        actor=actor,
    )
    if review.decision == ReviewDecision.COMMENT:
        named = {person.pk for person in mentioned}
        others = User.objects.filter(reviews__promotion=promotion).distinct()
        notify(
            notification_events.COMMENTED,
            subject=promotion,
            title=f"{actor.get_username()} commented on {way(promotion)}",
            text=review.reason,
            recipients=[user for user in {promotion.requester, *others} if user.pk not in named],
            actor=actor,
        )
        return
    words = review.get_decision_display().lower()
    notify(
        notification_events.DECIDED,
        subject=promotion,
        title=f"{actor.get_username()}: {words}, {way(promotion)}",
        text=review.reason,
        recipients=[promotion.requester],
        actor=actor,
    )


def expired(promotion: Promotion) -> None:
    people, groups = asked_to_review(promotion)
    notify(
        notification_events.EXPIRED,
        subject=promotion,
        title=f"The request for {way(promotion)} expired",
        text=promotion.state_reason,
        recipients=[promotion.requester, *people],
        audience=groups,
        actor=None,
    )


def reminder(promotion: Promotion, period: int, waited: str) -> None:
    """Whoever it waits for: those who may decide, or the requester who has to answer."""
    if promotion.state == PromotionState.CHANGES_REQUESTED:
        people: list[User] = [promotion.requester]
        groups: list[str] = []
    else:
        people, groups = asked_to_review(promotion)
    notify(
        notification_events.REMINDER,
        subject=promotion,
        title=f"{way(promotion)} still waits for you",
        text=f"It was requested {waited} ago: {promotion.reason}",
        recipients=people,
        audience=groups,
        actor=None,
        key=f"registry.reminder:{promotion.pk}:{period}",
    )


def carried_out(promotion: Promotion, *, actor: AbstractBaseUser | None) -> None:
    """The requester and who approved hear how it ended."""
    approvers = User.objects.filter(
        reviews__promotion=promotion, reviews__decision=ReviewDecision.APPROVE
    )
    done = promotion.state == PromotionState.APPLIED
    notify(
        notification_events.ROLLED_OUT,
        subject=promotion,
        title=f"{way(promotion)} {'is done' if done else 'failed'}",
        text="" if done else promotion.state_reason,
        recipients=list({promotion.requester, *approvers}),
        actor=actor,
    )
