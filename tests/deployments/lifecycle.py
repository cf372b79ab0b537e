"""Steps of a version's life as tests take them: through the same actions as the site."""

from __future__ import annotations

import itertools
import shutil
import time
from pathlib import Path
from typing import Any

from mlflow import MlflowClient

from e2i_site.jobs.models import Job
from e2i_site.jobs.runner import run
from registry.actions.request_promotion import request_promotion
from registry.actions.review_promotion import review_promotion
from registry.models import Promotion, PromotionPolicy, RegisteredModel, RegistryEntry
from tests.deployments.conftest import SavedModel
from tests.factories.people import PASSWORD
from tests.factories.registry import EntryFactory, PolicyFactory

_numbers = itertools.count(1)

SHADOW = {
    "hours": 0,
    "requests": 20,
    "error_rate": 0.01,
    "p99_ms": 2000,
    "alpha": 0.05,
    "sequential": False,
}


def short_policy(*, canary: dict[str, Any] | None = None, **shadow: Any) -> PromotionPolicy:
    """A policy with few gates and a short window."""
    approvals = {"count": 1, "roles": ["reviewer", "approver"]}
    digest = [{"id": "artifact_digest"}]
    stages = {
        "shadow": {"gates": digest, "approvals": approvals},
        "production": {
            "gates": [*digest, {"id": "shadow_evidence"}],
            "approvals": approvals,
            "shadow": {**SHADOW, **shadow},
            **({"canary": canary} if canary else {}),
        },
        "archived": {"gates": [], "approvals": approvals},
    }
    return PolicyFactory(stages=stages)


def publish(url: str, name: str, saved: SavedModel) -> str:
    """Put the model's files into MLflow as the next version of `name`; gives the version."""
    client = MlflowClient(tracking_uri=url)
    experiment = client.get_experiment_by_name(name)
    number = experiment.experiment_id if experiment else client.create_experiment(name)
    mlflow_run = client.create_run(number)
    client.log_artifacts(mlflow_run.info.run_id, str(saved.path), "model")
    if not experiment:
        client.create_registered_model(name)
    source = f"{mlflow_run.info.artifact_uri}/model"
    version = client.create_model_version(name, source, mlflow_run.info.run_id)
    client.set_terminated(mlflow_run.info.run_id)
    return str(version.version)


def new_name() -> str:
    """A model name that no other test uses in the shared MLflow."""
    return f"e2i_lifecycle_{time.time_ns()}_{next(_numbers)}"


def entry_in(
    stage: str, model: RegisteredModel, saved: SavedModel, version: int = 1, **facts: Any
) -> RegistryEntry:
    facts = {"artifact_digest": saved.digest, **facts}
    return EntryFactory(model=model, model_version=version, stage=stage, **facts)


def approve(entry: RegistryEntry, to_stage: str, people: Any) -> Promotion:
    """Request and approve; the roll-out is then a waiting job."""
    promotion = request_promotion(
        entry=entry, to_stage=to_stage, reason="It is better.", requester=people.requester
    )
    review_promotion(
        promotion=promotion,
        reviewer=people.reviewer,
        decision="approve",
        reason="I looked at it.",
        revision=promotion.revision,
        password=PASSWORD,
    )
    promotion.refresh_from_db()
    return promotion


def run_jobs(kind: str) -> list[Job]:
    """Run the unfinished jobs of one kind here, as a worker would; gives them afterwards."""
    ids = list(
        Job.objects.unfinished().filter(kind=kind).order_by("pk").values_list("pk", flat=True)
    )
    Job.objects.filter(pk__in=ids).update(run_after="2020-01-01T00:00Z")
    for pk in ids:
        run(pk)
    return list(Job.objects.filter(pk__in=ids).order_by("pk"))


def changed_copy(saved: SavedModel, folder: Path, name: str, content: bytes) -> SavedModel:
    """The same model with one file replaced, under the digest that follows from it."""
    from e2i_site.mlflow_connector.models import digest

    shutil.copytree(saved.path, folder)
    (folder / name).write_bytes(content)
    return SavedModel(saved.fitted, folder, digest(folder))
