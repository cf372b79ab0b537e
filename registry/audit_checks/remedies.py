"""What the registry offers to do about findings: both only repeat what was decided or mirrored."""

from __future__ import annotations

from typing import TYPE_CHECKING

from e2i_site.audit.remedies import remedy
from e2i_site.core.errors import InvalidInput
from e2i_site.jobs.enqueue import enqueue
from registry.actions.stages import carry_to_mlflow
from registry.models import RegisteredModel

if TYPE_CHECKING:
    from django.contrib.auth.models import User

    from e2i_site.audit.models import Finding


@remedy(
    "4.2",
    label="Carry the decided stages to MLflow",
    says="Sets MLflow's aliases and tags of this model to what was decided here. Aliases of "
    "stages that were never used here stay.",
)
def carry_again(finding: Finding, actor: User) -> None:
    """Enqueue the job that makes MLflow agree."""
    model = RegisteredModel.objects.filter(pk=finding.subject_key).first()
    if model is None:
        raise InvalidInput(f"{finding.subject_label} is no model of this registry any more.")
    carry_to_mlflow(model.name, actor=actor)


@remedy(
    "2.2",
    "3.4",
    label="Mirror MLflow in full",
    says="Reads all experiments, runs and versions from MLflow again. What was changed here by "
    "hand and is not mirrored stays.",
)
def mirror_again(finding: Finding, actor: User) -> None:
    """Enqueue a full sync."""
    enqueue("mlflow.sync", payload={"full": True}, actor=actor, key="full:mlflow.sync")
