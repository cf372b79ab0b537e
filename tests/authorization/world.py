"""Something for every call to be about, in a state in which somebody may make it."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace
from typing import Any

from django.utils import timezone

from deployments.choices import DeploymentStatus
from e2i_site.audit.actions.waive import waive
from e2i_site.notifications.models import InboxItem, Webhook
from registry.actions.break_glass import break_glass
from registry.actions.request_promotion import request_promotion
from registry.choices import PromotionState, Stage
from registry.models import Promotion
from tests.factories.audit import FindingFactory
from tests.factories.deployments import CanaryFactory, DeploymentFactory
from tests.factories.jobs import JobFactory
from tests.factories.people import PASSWORD
from tests.factories.registry import STAGES, EntryFactory, ModelFactory, PolicyFactory
from tests.factories.training import (
    DatasetFactory,
    ExperimentFactory,
    SelectionFactory,
    TrainingRunFactory,
)
from tests.factories.world import a_row_in_each

COLUMN = {"name": "age", "dtype": "number", "missing": 0, "distinct": 60, "role": "feature"}
REASON = {"reason": "It was agreed on Monday."}


def make_world(people: SimpleNamespace) -> dict[str, Any]:
    """A row of everything by the name of its collection, and more for single calls."""
    rows = a_row_in_each()
    policy = PolicyFactory(stages=STAGES)

    def entry(**fields: Any) -> Any:
        return EntryFactory(model=ModelFactory(policy_name=policy.name), **fields)

    def asked() -> Promotion:
        return request_promotion(
            entry=entry(), to_stage="staging", reason="Better.", requester=people.requester
        )

    answerable = asked()
    Promotion.objects.filter(pk=answerable.pk).update(state=PromotionState.CHANGES_REQUESTED)
    active = _with_a_way_back()
    until = timezone.now() + timedelta(days=3)
    waived = FindingFactory()
    waive(
        finding=waived, actor=people.auditor, owner=people.auditor, reason="Next week.",
        expires_at=until,
    )  # fmt: skip
    broken = asked()
    break_glass(
        promotion=broken, actor=people.administrator, confirmation=broken.entry.model_id,
        password=PASSWORD, **REASON,
    )  # fmt: skip
    return {
        **rows,
        "people": people,
        "dataset": DatasetFactory(columns=[COLUMN]),
        "runs": TrainingRunFactory(status="running", job=JobFactory(), completed_at=None),
        "running selections": SelectionFactory(status="running", job=JobFactory()),
        "asked": ExperimentFactory(),
        "fresh": entry(),
        "open": asked(),
        "answerable": answerable,
        "past gates": broken,
        "serving": active.entry,
        "active": active,
        "warm": DeploymentFactory(status=DeploymentStatus.DRAINING),
        "canary": CanaryFactory().deployment,
        "paused": CanaryFactory(state="paused", pause_reason="A look.").deployment,
        "shadow": rows["shadow-windows"].deployment,
        "open finding": FindingFactory(),
        "waived": waived,
        "told": InboxItem.objects.filter(user=people.requester).earliest("pk"),
        "webhook": Webhook.objects.create(name="Chat", url="https://chat.example/x"),
    }


def _with_a_way_back() -> Any:
    model = ModelFactory()
    previous = DeploymentFactory(
        entry=EntryFactory(model=model, stage=Stage.ARCHIVED), status=DeploymentStatus.DRAINING
    )
    return DeploymentFactory(
        entry=EntryFactory(model=model, stage=Stage.PRODUCTION), previous_deployment=previous
    )
