"""A row of everything."""

from __future__ import annotations

from typing import Any

from django.db import transaction

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


def a_row_in_each(number: int = 0) -> dict[str, Any]:
    """One row in every collection of the API, by its name; each with people of its own."""
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
