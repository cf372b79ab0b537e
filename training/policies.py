"""Who may do what in training, and why not. `None` is the operator at the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from e2i_site.core.decision import ALLOWED, Decision, refuse
from e2i_site.core.roles import Role, has_role

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser, User

    from training.models import Experiment

MAY_TRAIN = (Role.REQUESTER, Role.ADMINISTRATOR)


def may_import_dataset(user: User | AnonymousUser | None) -> Decision:
    """Bring in a data set."""
    return _trains(user, "importing data sets")


def may_create_experiment(user: User | AnonymousUser | None) -> Decision:
    """Ask a new modelling question."""
    return _trains(user, "creating experiments")


def may_request_selection(
    user: User | AnonymousUser | None, experiment: Experiment | None = None
) -> Decision:
    """Start a selection."""
    return _trains(user, "starting selections")


def may_request_training(
    user: User | AnonymousUser | None, experiment: Experiment | None = None
) -> Decision:
    """Start a training."""
    return _trains(user, "starting trainings")


def _trains(user: User | AnonymousUser | None, what: str) -> Decision:
    if user is None or has_role(user, *MAY_TRAIN):
        return ALLOWED
    roles = " or ".join(Role(role).label.lower() for role in MAY_TRAIN)
    return refuse(f"Your roles do not include {what}; it needs {roles}.")
