"""Who may act in an emergency, and who judges it afterwards. Pure functions over loaded objects."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from e2i_site.core.decision import Decision, refuse
from e2i_site.core.roles import Role, has_role
from registry.choices import SERVED_STAGES, UNDECIDED, PromotionState, Stage
from registry.models import BreakGlass, BreakGlassReview, Promotion, RegistryEntry
from registry.policies import illegal_reason, is_legal, out_of_sight

if TYPE_CHECKING:
    from django.contrib.auth.models import User

SHORTEST_REASON = 20
JUDGES = (Role.APPROVER, Role.AUDITOR, Role.ADMINISTRATOR)


def may_break_glass(user: User, promotion: Promotion) -> Decision:
    """Let an undecided promotion past its gates and approvals.

    Never past the order of stages, the digest of the files, or what the database holds.
    """
    entry = promotion.entry
    return refuse(
        ""
        if has_role(user, Role.ADMINISTRATOR)
        else "Only an administrator lets a promotion past its gates.",
        ""
        if promotion.state in UNDECIDED
        else f"It is {PromotionState(promotion.state).label.lower()}; nothing to decide.",
        "Archiving needs no break-glass; there is an emergency stop."
        if promotion.to_stage == Stage.ARCHIVED
        else "",
        ""
        if entry.stage == promotion.from_stage and is_legal(entry.stage, promotion.to_stage)
        else illegal_reason(entry.stage, promotion.to_stage),
        out_of_sight(entry),
        ""
        if entry.artifact_digest
        else "The digest of the version's files is not known yet; nothing says what would run.",
    )


def may_review_break_glass(
    user: User, broken: BreakGlass, reviews: Iterable[BreakGlassReview]
) -> Decision:
    """Say afterwards whether it was right: somebody else than all who had a part in it."""
    promotion = broken.promotion
    roles = " or ".join(role.value for role in JUDGES)
    return refuse(
        "" if has_role(user, *JUDGES) else f"This needs the role {roles}.",
        "You did it; two others judge it." if user.pk == broken.actor_id else "",
        "You requested the promotion; others judge it."
        if user.pk == promotion.requester_id
        else "",
        "You trained this version; others judge it."
        if user.pk == promotion.entry.trained_by_id
        else "",
        "You have said what you think of it already."
        if any(review.reviewer_id == user.pk for review in reviews)
        else "",
    )


def may_stop(user: User, entry: RegistryEntry) -> Decision:
    """Archive a version that serves or shadows, at once."""
    return refuse(
        ""
        if has_role(user, Role.DEPLOYER, Role.ADMINISTRATOR)
        else "An emergency stop needs the role deployer or administrator.",
        "" if entry.stage in SERVED_STAGES else f"It is in {entry.stage}; nothing of it serves.",
    )


def reason_fits(reason: str) -> Decision:
    """An act past the rules is explained, not only done."""
    if len(reason.strip()) >= SHORTEST_REASON:
        return Decision()
    return refuse(f"Say why in at least {SHORTEST_REASON} characters; it stays on record for ever.")
