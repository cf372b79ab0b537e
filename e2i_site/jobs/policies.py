"""Who may do what to a job."""

from __future__ import annotations

from typing import TYPE_CHECKING

from e2i_site.core.decision import ALLOWED, Decision, refuse
from e2i_site.core.roles import Role, has_role
from e2i_site.jobs.models import Job

if TYPE_CHECKING:
    from django.contrib.auth.models import User


def may_cancel(user: User, job: Job) -> Decision:
    """Whoever asked for the job, a deployer or an administrator."""
    if job.is_finished:
        return refuse("The job has ended.")
    if job.cancel_requested:
        return refuse("It is being cancelled.")
    if job.actor_id == user.pk or has_role(user, Role.DEPLOYER, Role.ADMINISTRATOR):
        return ALLOWED
    return refuse("Only the person who started it, a deployer or an administrator can cancel it.")
