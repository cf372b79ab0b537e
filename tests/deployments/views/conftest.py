"""People at their browsers, and a version that serves with one before it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from deployments.choices import DeploymentStatus
from deployments.models import Deployment
from e2i_site.mlflow_connector import models
from registry.choices import Stage
from tests.factories.deployments import (
    DeploymentFactory,
    GatewayInstanceFactory,
    ShadowWindowFactory,
)
from tests.factories.registry import EntryFactory, ModelFactory, PolicyFactory, PromotionFactory

Browser = Callable[[User], Client]
SHADOW = {
    "hours": 24.0,
    "requests": 1000,
    "error_rate": 0.01,
    "p99_ms": 150.0,
    "alpha": 0.05,
    "sequential": True,
}


@pytest.fixture(autouse=True)
def at_rest(quiet_broker: None, known_status: None) -> None:
    """Jobs wait, and the state of the site is known."""


@pytest.fixture
def viewer(browser: Browser, people: Any) -> Client:
    return browser(people.viewer)


@pytest.fixture
def deployer(browser: Browser, people: Any) -> Client:
    return browser(people.deployer)


@pytest.fixture
def stored(settings: Any, tmp_path: Path) -> str:
    """Digest of files that lie in the store, with an input example."""
    settings.ARTIFACT_STORE = tmp_path / "artifacts"
    files = tmp_path / "model"
    files.mkdir()
    (files / "MLmodel").write_text("flavors: {}\n")
    (files / "serving_input_example.json").write_text(
        '{"dataframe_split": {"columns": ["age", "income"], "data": [[40, 2.5], [50, 3.5]]}}'
    )
    digest: str = models.digest(files)
    place = settings.ARTIFACT_STORE / "sha256" / digest
    place.parent.mkdir(parents=True)
    files.rename(place)
    return digest


@pytest.fixture
def champion(stored: str) -> Deployment:
    """Version 2 in production, version 1 kept warm behind it."""
    model = ModelFactory(name="visits")
    policy = PolicyFactory(name="strict", stages={"production": {"shadow": SHADOW}})
    before = DeploymentFactory(
        entry=EntryFactory(model=model, stage=Stage.ARCHIVED, artifact_digest=stored),
        status=DeploymentStatus.DRAINING,
        deployed_at=timezone.now() - timedelta(days=2),
        deactivated_at=timezone.now() - timedelta(hours=1),
    )
    entry = EntryFactory(model=model, stage=Stage.PRODUCTION, artifact_digest=stored)
    promotion = PromotionFactory(entry=entry, to_stage=Stage.PRODUCTION, policy=policy)
    GatewayInstanceFactory(instance="gateway")
    return DeploymentFactory(entry=entry, promotion=promotion, previous_deployment=before)


@pytest.fixture
def shadow(db: None) -> Deployment:
    """Version 1 in shadow for two minutes, under a policy with a notice."""
    entry = EntryFactory(model=ModelFactory(name="visits"), stage=Stage.SHADOW)
    GatewayInstanceFactory(instance="gateway")
    window = ShadowWindowFactory(
        deployment=DeploymentFactory(entry=entry, strategy="shadow"),
        limits=SHADOW,
        policy=PolicyFactory(notice="A policy for demonstrations."),
    )
    return window.deployment
