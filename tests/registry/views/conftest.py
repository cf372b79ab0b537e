"""People at their browsers, and one promotion to look at."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.cache import cache
from django.test import Client

from e2i_site import status
from registry.actions.request_promotion import request_promotion
from registry.choices import Stage
from registry.models import Promotion, RegisteredModel
from tests.factories.people import PASSWORD, UserFactory
from tests.factories.registry import STAGES, EntryFactory, ModelFactory, PolicyFactory

# Session, user and roles. The state of the site may add one more, once in a few seconds.
SESSION = 3


@pytest.fixture(autouse=True)
def nobody_works(quiet_broker: None) -> None:
    """Jobs wait."""


@pytest.fixture
def counting(db: None) -> None:
    """The state of the site is read beforehand: it is kept for seconds, not read by each page."""
    cache.set(status.CACHE_KEY, status.site_status(), 60)


@pytest.fixture
def model(db: None) -> RegisteredModel:
    PolicyFactory(name="light", stages=STAGES, notice="For tests only.")
    return ModelFactory(name="churn", policy_name="light")


@pytest.fixture
def requester(db: None) -> User:
    return UserFactory(username="rita", roles=["requester"])


@pytest.fixture
def approver(db: None) -> User:
    return UserFactory(username="alan", roles=["approver"])


@pytest.fixture
def champion(model: RegisteredModel) -> Any:
    return EntryFactory(model=model, stage=Stage.PRODUCTION)


@pytest.fixture
def promotion(champion: Any, model: RegisteredModel, requester: User) -> Promotion:
    """Version 2 asks for staging while version 1 is in production."""
    entry = EntryFactory(model=model, hyperparameters={"num_leaves": 63, "learning_rate": 0.05})
    return request_promotion(
        entry=entry, to_stage="staging", reason="Better calibrated.", requester=requester
    )


@pytest.fixture
def decide(browser: Callable[[User], Client]) -> Callable[..., Any]:
    """Send the decision form as `user`, on the revision that is in the database."""

    def send(promotion: Promotion, user: User, decision: str, **data: Any) -> Any:
        promotion.refresh_from_db()
        form = {
            "decision": decision,
            "reason": "Read it.",
            "revision": promotion.revision,
            "seen": "{}",
            "password": PASSWORD,
            **data,
        }
        return browser(user).post(promotion.get_absolute_url(), form)

    return send
