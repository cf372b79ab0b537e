"""Models, versions, policies and promotions."""

from __future__ import annotations

from typing import Any

import factory
from django.utils import timezone

from registry.choices import GateOutcome, Stage
from registry.models import (
    GateResult,
    Promotion,
    PromotionPolicy,
    RegisteredModel,
    RegistryEntry,
    Review,
)
from tests.factories.people import UserFactory
from tests.factories.training import ExperimentFactory, TrainingRunFactory, digest

STAGES: dict[str, Any] = {
    "staging": {
        "gates": [{"id": "artifact_digest"}, {"id": "signature"}],
        "approvals": {"count": 1, "roles": ["reviewer", "approver"]},
    },
    "production": {
        "gates": [{"id": "artifact_digest"}, {"id": "signature"}],
        "approvals": {"count": 1, "roles": ["approver"]},
    },
    "archived": {"gates": [], "approvals": {"count": 1, "roles": ["reviewer", "approver"]}},
}


class ModelFactory(factory.django.DjangoModelFactory[RegisteredModel]):
    class Meta:
        model = RegisteredModel

    name = factory.Sequence(lambda n: f"e2i_model_{n}")
    experiment = factory.SubFactory(ExperimentFactory)


class EntryFactory(factory.django.DjangoModelFactory[RegistryEntry]):
    """A version with the run that made it."""

    class Meta:
        model = RegistryEntry

    model = factory.SubFactory(ModelFactory)
    model_version = factory.LazyAttribute(lambda o: o.model.entries.count() + 1)
    experiment = factory.SelfAttribute("model.experiment")
    training_run = factory.SubFactory(
        TrainingRunFactory, experiment=factory.SelfAttribute("..experiment")
    )
    mlflow_run_id = factory.LazyAttribute(
        lambda o: (o.training_run.mlflow_run_id or "") if o.training_run else ""
    )
    mlflow_model_uri = factory.LazyAttribute(lambda o: f"models:/m-{o.model_version:032x}")
    artifact_digest = factory.LazyAttribute(lambda o: digest(f"{o.model}{o.model_version}"))
    algorithm = "LightGBM"
    framework = "lightgbm"
    hyperparameters: dict[str, Any] = {"num_leaves": 31, "learning_rate": 0.05}
    feature_count = 2
    training_samples = 12_114
    auc = 0.71
    pr_auc = 0.83
    brier_score = 0.19
    calibration_slope = 1.02
    signature = {
        "inputs": [
            {"name": "age", "type": "double", "required": True},
            {"name": "income", "type": "double", "required": True},
        ],
        "outputs": [{"type": "double", "required": True}],
    }
    stage = Stage.DEVELOPMENT
    registered_at = factory.LazyFunction(timezone.now)
    trained_by = factory.LazyAttribute(
        lambda o: o.training_run.created_by if o.training_run else None
    )


class PolicyFactory(factory.django.DjangoModelFactory[PromotionPolicy]):
    class Meta:
        model = PromotionPolicy

    name = factory.Sequence(lambda n: f"policy-{n}")
    version = 1
    stages = STAGES


class PromotionFactory(factory.django.DjangoModelFactory[Promotion]):
    """An open promotion as the database may hold it; `request_promotion` is the way to a real one.

    `gates=["pass", "fail"]` adds results with these outcomes.
    """

    class Meta:
        model = Promotion
        skip_postgeneration_save = True

    entry = factory.SubFactory(EntryFactory)
    from_stage = factory.SelfAttribute("entry.stage")
    to_stage = Stage.STAGING
    requester = factory.SubFactory(UserFactory, roles=["requester"])
    reason = "Better than what we have."
    policy = factory.SubFactory(PolicyFactory)
    artifact_digest = factory.SelfAttribute("entry.artifact_digest")
    binding_hash = factory.LazyAttribute(lambda o: digest(f"{o.artifact_digest}{o.to_stage}"))
    gates_evaluated_at = factory.LazyFunction(timezone.now)

    @factory.post_generation
    def gates(self, create: bool, extracted: list[str] | None, **kwargs: Any) -> None:
        for position, outcome in enumerate(extracted or (), start=1):
            GateResultFactory(promotion=self, position=position, outcome=outcome)


class GateResultFactory(factory.django.DjangoModelFactory[GateResult]):
    class Meta:
        model = GateResult

    promotion = factory.SubFactory(PromotionFactory)
    gate_id = factory.LazyAttribute(lambda o: f"gate_{o.position}")
    position = 1
    outcome = GateOutcome.PASS
    summary = "The files are those that were registered."
    measured = "12ab"
    limit = "12ab"
    evidence: dict[str, Any] = {"digest": "12ab"}
    evidence_hash = factory.LazyAttribute(lambda o: digest(o.gate_id))
    seconds = 0.01
    evaluated_at = factory.LazyFunction(timezone.now)


class ReviewFactory(factory.django.DjangoModelFactory[Review]):
    class Meta:
        model = Review

    promotion = factory.SubFactory(PromotionFactory)
    reviewer = factory.SubFactory(UserFactory, roles=["reviewer"])
    decision = "comment"
    reason = "Looks right."
    revision = factory.SelfAttribute("promotion.revision")
    binding_hash = factory.SelfAttribute("promotion.binding_hash")
