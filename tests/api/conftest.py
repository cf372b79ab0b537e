"""Callers of the API, and a world with rows in every collection."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.cache import cache
from django.db import transaction
from knox.models import AuthToken
from rest_framework.test import APIClient

from e2i_site.trail.record import record
from registry.choices import Stage
from tests.factories.audit import AuditRunFactory, CheckResultFactory, FindingFactory, WaiverFactory
from tests.factories.deployments import DeploymentFactory, ShadowWindowFactory
from tests.factories.jobs import JobFactory
from tests.factories.registry import (
    STAGES,
    EntryFactory,
    ModelFactory,
    PolicyFactory,
    PromotionFactory,
    ReviewFactory,
)
from tests.factories.training import (
    CandidateFactory,
    ExperimentFactory,
    NodeFactory,
    SelectionFactory,
    TrainingRunFactory,
)

Caller = Callable[[User], APIClient]


@pytest.fixture(autouse=True)
def quiet_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("e2i_site.jobs.tasks.run.apply_async", lambda *args, **kwargs: None)


@pytest.fixture(autouse=True)
def unhurried() -> None:
    """Nobody has called yet, as far as the throttle knows."""
    cache.clear()


@pytest.fixture
def as_person() -> Caller:
    def sign_in(user: User) -> APIClient:
        client = APIClient(raise_request_exception=False)
        client.force_login(user)
        return client

    return sign_in


@pytest.fixture
def as_service() -> Caller:
    def sign_in(user: User) -> APIClient:
        client = APIClient(raise_request_exception=False)
        client.credentials(HTTP_AUTHORIZATION=f"Token {AuthToken.objects.create(user)[1]}")
        return client

    return sign_in


def a_row_in_each(number: int = 0) -> dict[str, Any]:
    """One row in every collection, by the collection's name; all with people of their own."""
    experiment = ExperimentFactory()
    selection = SelectionFactory(experiment=experiment)
    CandidateFactory(selection=selection)
    run = TrainingRunFactory(experiment=experiment, selection=selection)
    NodeFactory(training_run=run)
    NodeFactory(training_run=None, selection=selection)
    policy = PolicyFactory(stages=STAGES)
    model = ModelFactory(experiment=experiment, policy_name=policy.name)
    entry = EntryFactory(model=model, training_run=run)
    promotion = PromotionFactory(entry=entry, policy=policy, gates=["pass", "inconclusive"])
    ReviewFactory(promotion=promotion)
    serving = EntryFactory(model=model, stage=Stage.PRODUCTION)
    shadow = EntryFactory(model=model, stage=Stage.SHADOW)
    deployment = DeploymentFactory(entry=serving)
    window = ShadowWindowFactory(
        deployment=DeploymentFactory(entry=shadow, strategy="shadow"), policy=policy
    )
    audit = AuditRunFactory()
    CheckResultFactory(run=audit)
    finding = FindingFactory(first_run=audit)
    WaiverFactory(finding=finding)
    job = JobFactory()
    with transaction.atomic():
        entry_of_trail = record(
            "jobs.job.cancelled", actor=job.actor, subject=job, new={"number": number}
        )
    return {
        "experiments": experiment,
        "selections": selection,
        "training-runs": run,
        "models": model,
        "versions": entry,
        "promotions": promotion,
        "policies": policy,
        "deployments": deployment,
        "shadow-windows": window,
        "audit-runs": audit,
        "findings": finding,
        "trail": entry_of_trail,
        "jobs": job,
    }


KEYS = {"experiments": "experiment_id", "models": "name"}
COLLECTIONS = (
    "experiments",
    "selections",
    "training-runs",
    "models",
    "versions",
    "promotions",
    "policies",
    "deployments",
    "shadow-windows",
    "audit-runs",
    "findings",
    "trail",
    "jobs",
)


def address(collection: str, row: Any, act: str = "") -> str:
    key = getattr(row, KEYS.get(collection, "pk"))
    return f"/api/v1/{collection}/{key}/" + (f"{act}/" if act else "")


@pytest.fixture
def world(db: None, people: SimpleNamespace) -> dict[str, Any]:
    return a_row_in_each()
