"""Who may do what with webhooks and deliveries."""

from __future__ import annotations

from typing import TYPE_CHECKING

from e2i_site.core.decision import ALLOWED, Decision, refuse
from e2i_site.core.roles import Role, has_role
from e2i_site.notifications.models import Delivery, DeliveryState

if TYPE_CHECKING:
    from django.contrib.auth.models import User

MOST_OWN_WEBHOOKS = 5


def may_see_log(user: User) -> Decision:
    """Look at what left for whom, and at the shared webhooks."""
    allowed = has_role(user, Role.ADMINISTRATOR)
    return ALLOWED if allowed else refuse("Only an administrator sees the deliveries.")


def may_keep_webhook(user: User, owner_id: int | None) -> Decision:
    """Add, remove or renew a webhook: one's own, or as administrator a shared one."""
    if owner_id is None:
        allowed = has_role(user, Role.ADMINISTRATOR)
        return ALLOWED if allowed else refuse("Only an administrator keeps shared webhooks.")
    if owner_id != user.pk:
        return refuse("This webhook is another person's.")
    return ALLOWED if has_role(user, *Role.values) else refuse("Your account has no role.")


def may_resend(user: User, delivery: Delivery) -> Decision:
    """Try a delivery again that has ended without arriving."""
    if not has_role(user, Role.ADMINISTRATOR):
        return refuse("Only an administrator sends again.")
    if delivery.state != DeliveryState.FAILED:
        return refuse(f"It is {delivery.get_state_display().lower()}; nothing to send again.")
    return ALLOWED
