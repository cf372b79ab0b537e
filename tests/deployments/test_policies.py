"""Who may operate deployments; the same questions to every persona."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from deployments.choices import DeploymentStatus, Environment, Strategy
from deployments.models import Deployment
from deployments.policies import (
    may_evaluate_window,
    may_retire,
    may_roll_back,
    may_void_window,
)
from registry.choices import Stage
from tests.factories.deployments import DeploymentFactory, ShadowWindowFactory
from tests.factories.registry import EntryFactory, ModelFactory

OPERATORS = {"deployer", "administrator"}


@pytest.fixture
def replaced(db: None) -> Deployment:
    """An active production deployment with one before it."""
    model = ModelFactory()
    before = DeploymentFactory(
        entry=EntryFactory(model=model, stage=Stage.ARCHIVED), status=DeploymentStatus.DRAINING
    )
    entry = EntryFactory(model=model, stage=Stage.PRODUCTION)
    return DeploymentFactory(entry=entry, previous_deployment=before)


def allowed(people: SimpleNamespace, policy: object, thing: object) -> set[str]:
    return {name for name, user in vars(people).items() if policy(user, thing)}  # type: ignore[operator]


def test_operators_roll_back(people: SimpleNamespace, replaced: Deployment) -> None:
    assert allowed(people, may_roll_back, replaced) == OPERATORS
    assert may_roll_back(None, replaced)
    assert may_roll_back(people.viewer, replaced).reasons == (
        "This needs the role deployer or administrator.",
    )


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ({"status": DeploymentStatus.RETIRED}, "It is retired, not active."),
        ({"strategy": Strategy.SHADOW}, "Only a production deployment can be rolled back."),
        ({"previous_deployment": None}, "There is no previous deployment to go back to."),
        (
            {"environment": Environment.STAGING},
            "Only a production deployment can be rolled back.",
        ),
    ],
)
def test_why_a_rollback_is_refused(
    replaced: Deployment, facts: dict[str, object], reason: str
) -> None:
    for name, value in facts.items():
        setattr(replaced, name, value)
    assert may_roll_back(None, replaced).reason == reason


def test_a_version_that_cannot_return_blocks_the_rollback(replaced: Deployment) -> None:
    previous = replaced.previous_deployment
    assert previous is not None
    previous.entry.stage = Stage.DEPRECATED
    assert "not archived" in may_roll_back(None, replaced).reason
    previous.entry.deleted_in_mlflow = True
    assert "deleted in MLflow" in may_roll_back(None, replaced).reason


def test_operators_retire_what_is_only_kept_warm(
    people: SimpleNamespace, replaced: Deployment
) -> None:
    assert allowed(people, may_retire, replaced) == set()
    assert allowed(people, may_retire, replaced.previous_deployment) == OPERATORS


def test_windows(people: SimpleNamespace) -> None:
    window = ShadowWindowFactory()
    assert allowed(people, may_void_window, window) == OPERATORS
    everybody = {*OPERATORS, "requester", "reviewer", "approver", "auditor"}
    assert allowed(people, may_evaluate_window, window) == everybody
    window.state = "closed"
    assert allowed(people, may_void_window, window) == set()
    assert allowed(people, may_evaluate_window, window) == set()
