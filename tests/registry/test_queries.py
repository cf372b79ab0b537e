"""What pages gather across models."""

from __future__ import annotations

import pytest

from registry import queries
from tests.factories.jobs import JobFactory
from tests.factories.registry import PromotionFactory

pytestmark = pytest.mark.django_db


def test_what_mlflow_tells_does_not_crowd_out_the_work_of_a_promotion() -> None:
    promotion = PromotionFactory()
    subject = f"model:{promotion.entry.model_id}"
    for _ in range(8):
        JobFactory(kind="mlflow.apply_webhook", subject=subject)
    carry = JobFactory(kind="registry.carry_stage", subject=subject)
    assert queries.jobs_of(promotion, []) == [carry]
