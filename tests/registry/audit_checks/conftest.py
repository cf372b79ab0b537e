from __future__ import annotations

from typing import Any

import pytest

from e2i_site.audit import runner
from e2i_site.audit.models import CheckResult
from registry.actions.request_promotion import request_promotion
from registry.actions.review_promotion import review_promotion
from registry.models import Promotion, RegisteredModel, RegistryEntry
from tests.factories.people import PASSWORD, UserFactory
from tests.factories.registry import STAGES, EntryFactory, ModelFactory, PolicyFactory


@pytest.fixture(autouse=True)
def nobody_works(quiet_broker: None) -> None:
    """Jobs wait."""


def audit(check_id: str) -> CheckResult:
    """Run one check for real and return what it stored."""
    runner.execute(runner.prepare(check_id=check_id))
    return CheckResult.objects.filter(check_id=check_id).latest("id")


def messages(result: CheckResult) -> str:
    return " ".join(result.outcomes.filter(outcome="fail").values_list("message", flat=True))


@pytest.fixture
def model(db: Any) -> RegisteredModel:
    PolicyFactory(name="light", stages=STAGES)
    return ModelFactory(policy_name="light")


@pytest.fixture
def staged(model: RegisteredModel) -> Promotion:
    """A version that went to staging the way versions do."""
    entry: RegistryEntry = EntryFactory(model=model)
    promotion = request_promotion(
        entry=entry,
        to_stage="staging",
        reason="better calibrated",
        requester=UserFactory(roles=["requester"]),
    )
    review_promotion(
        promotion=promotion,
        reviewer=UserFactory(roles=["reviewer"]),
        decision="approve",
        reason="read it",
        revision=promotion.revision,
        password=PASSWORD,
    )
    promotion.refresh_from_db()
    return promotion
