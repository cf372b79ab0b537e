"""Stages reach a real MLflow as aliases and tags; digests come from its files."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

from e2i_site.jobs.models import Job, JobState
from e2i_site.jobs.runner import run
from e2i_site.mlflow_connector import get_connector, models
from registry.actions.fingerprint_version import fingerprint_version
from registry.actions.request_promotion import request_promotion
from registry.actions.review_promotion import review_promotion
from registry.carry import carry
from registry.choices import Stage
from registry.models import RegisteredModel, RegistryEntry
from tests.factories.people import PASSWORD, UserFactory
from tests.factories.registry import STAGES, EntryFactory, ModelFactory, PolicyFactory

pytestmark = [pytest.mark.django_db, pytest.mark.mlflow]


@pytest.fixture(autouse=True)
def quiet_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("e2i_site.jobs.tasks.run.apply_async", lambda *args, **kwargs: None)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rows = pd.DataFrame({"age": np.linspace(20, 60, 40), "income": np.linspace(1, 9, 40)})
    fitted = LogisticRegression().fit(rows, [0] * 20 + [1] * 20)
    return models.save_model(
        fitted,
        tmp_path_factory.mktemp("model") / "saved",
        example=rows.head(2),
        requirements=["scikit-learn"],
        predict_method="predict_proba",
    )


@pytest.fixture
def registered(mlflow_server: str, settings: Any, tmp_path: Path, saved: Path) -> RegistryEntry:
    """A version in MLflow and its row here, without a digest."""
    settings.MLFLOW_TRACKING_URI = mlflow_server
    settings.MLFLOW_JOURNAL_DIR = tmp_path / "journal"
    name = f"e2i_carry_{uuid.uuid4().hex[:8]}"
    with get_connector().start_run(name, run_name="a run", tags={}) as tracked:
        tracked.log_model(saved, register_as=name)
    PolicyFactory(name="light", stages=STAGES)
    model = ModelFactory(name=name, policy_name="light")
    return EntryFactory(
        model=model, model_version=1, artifact_digest="", signature={}, training_run=None
    )


def test_the_digest_is_that_of_the_saved_files(registered: RegistryEntry, saved: Path) -> None:
    assert fingerprint_version(entry_id=registered.pk) == {"digest": models.digest(saved)}
    registered.refresh_from_db()
    assert [column["name"] for column in registered.signature["inputs"]] == ["age", "income"]


def test_a_stage_is_carried_and_repeating_it_changes_nothing(registered: RegistryEntry) -> None:
    promotion = request_promotion(
        entry=registered,
        to_stage="staging",
        reason="first",
        requester=UserFactory(roles=["requester"]),
    )
    run(Job.objects.get(kind="registry.fingerprint").pk)
    promotion.refresh_from_db()
    review_promotion(
        promotion=promotion,
        reviewer=UserFactory(roles=["reviewer"]),
        decision="approve",
        reason="fine",
        revision=promotion.revision,
        password=PASSWORD,
    )
    job = Job.objects.get(kind="registry.carry_stage")
    run(job.pk)
    job.refresh_from_db()
    assert job.state == JobState.SUCCEEDED, job.message
    connector, name = get_connector(), registered.model_id
    version = connector.get_version_by_alias(name, "staging")
    assert version.version == "1"
    assert version.tags["e2i.stage"] == "staging"
    assert version.tags["e2i.promotion_id"] == str(promotion.pk)
    assert RegisteredModel.objects.get(name=name).aliases == {"staging": "1"}
    assert carry(name) == {"aliases": {}, "tags": {}}


def test_an_empty_stage_loses_its_alias_and_others_stay(registered: RegistryEntry) -> None:
    connector, name = get_connector(), registered.model_id
    connector.set_alias(name, "theirs", 1)
    connector.set_alias(name, "shadow", 1)
    registered.stage_changes.create(
        from_stage="development", to_stage="staging", cause="promotion", at=registered.created_at
    )
    RegistryEntry.objects.filter(pk=registered.pk).update(stage=Stage.STAGING)
    carry(name)
    RegistryEntry.objects.filter(pk=registered.pk).update(stage=Stage.ARCHIVED)
    carry(name)
    assert connector.get_registered_model(name).aliases == {"theirs": "1", "shadow": "1"}


def test_it_waits_while_mlflow_is_away(registered: RegistryEntry, settings: Any) -> None:
    settings.MLFLOW_TRACKING_URI = "http://127.0.0.1:9"
    from registry.actions.stages import carry_to_mlflow

    carry_to_mlflow(registered.model_id, actor=None)
    job = Job.objects.get(kind="registry.carry_stage")
    run(job.pk)
    job.refresh_from_db()
    assert (job.state, job.attempt) == (JobState.WAITING, 0)
    assert "Waits for MLflow" in job.message
