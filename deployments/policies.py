"""Who may do what with deployments, and why not. Pure functions over loaded objects."""

from __future__ import annotations

from typing import TYPE_CHECKING

from deployments.choices import CanaryState, DeploymentStatus, Environment, WindowState
from deployments.models import Canary, Deployment, ShadowWindow
from e2i_site.core.decision import ALLOWED, Decision, refuse
from e2i_site.core.roles import Role, has_role
from registry.choices import Stage, StageCause

if TYPE_CHECKING:
    from django.contrib.auth.models import User

OPERATORS = (Role.DEPLOYER, Role.ADMINISTRATOR)


def may_roll_back(user: User | None, deployment: Deployment) -> Decision:
    """Put the previous deployment back. `user` None is E2I itself, after measured failures."""
    reasons = [] if user is None else _operator(user)
    if deployment.environment != Environment.PRODUCTION or deployment.is_shadow:
        reasons.append("Only a production deployment can be rolled back.")
    elif deployment.status != DeploymentStatus.ACTIVE:
        reasons.append(f"It is {deployment.get_status_display().lower()}, not active.")
    else:
        reasons += _without_way_back(deployment)
    return refuse(*reasons) if reasons else ALLOWED


def may_retire(user: User | None, deployment: Deployment) -> Decision:
    """Let go of a deployment that is only kept warm."""
    reasons = [] if user is None else _operator(user)
    if deployment.status != DeploymentStatus.DRAINING:
        reasons.append(
            "Only a deployment that is kept warm can be retired; archive the version of an active "
            "one, or roll it back."
        )
    return refuse(*reasons) if reasons else ALLOWED


def may_pause_canary(user: User, canary: Canary) -> Decision:
    """Keep it at its present share."""
    return _in_state(user, canary, CanaryState.RUNNING)


def may_resume_canary(user: User, canary: Canary) -> Decision:
    """Let it go on."""
    return _in_state(user, canary, CanaryState.PAUSED)


def may_abort_canary(user: User, canary: Canary) -> Decision:
    """End the roll-out, so that the version before answers all callers."""
    return _in_state(user, canary, CanaryState.RUNNING, CanaryState.PAUSED)


def _in_state(user: User, canary: Canary, *states: CanaryState) -> Decision:
    reasons = _operator(user)
    if canary.state not in states:
        reasons.append(f"The canary is {canary.get_state_display().lower()}.")
    return refuse(*reasons) if reasons else ALLOWED


def may_void_window(user: User | None, window: ShadowWindow) -> Decision:
    """Declare a window's evidence worthless."""
    reasons = [] if user is None else _operator(user)
    if window.state != WindowState.OPEN:
        reasons.append(f"The window is {window.get_state_display().lower()}, not open.")
    return refuse(*reasons) if reasons else ALLOWED


def may_evaluate_window(user: User, window: ShadowWindow) -> Decision:
    """Look at the evidence now instead of at the next round."""
    if window.state != WindowState.OPEN:
        return refuse(f"The window is {window.get_state_display().lower()}, not open.")
    everybody = (*OPERATORS, Role.REQUESTER, Role.REVIEWER, Role.APPROVER, Role.AUDITOR)
    if not has_role(user, *everybody):
        return refuse("Your roles do not include evaluating shadow windows.")
    return ALLOWED


def _operator(user: User) -> list[str]:
    if has_role(user, *OPERATORS):
        return []
    return [f"This needs the role {' or '.join(role.value for role in OPERATORS)}."]


def _without_way_back(deployment: Deployment) -> list[str]:
    previous = deployment.previous_deployment
    if previous is None:
        return ["There is no previous deployment to go back to."]
    if previous.entry.deleted_in_mlflow:
        return [f"{previous.entry} was deleted in MLflow."]
    if previous.entry.stage != Stage.ARCHIVED:
        return [f"{previous.entry} is in {previous.entry.stage}, not archived."]
    last = previous.entry.stage_changes.first()
    if last is not None and last.cause == StageCause.EMERGENCY:
        return [f"{previous.entry} was stopped in an emergency."]
    return []
