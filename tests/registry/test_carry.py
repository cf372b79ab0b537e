"""Stages reach a real MLflow as aliases and tags; digests come from its files."""

from __future__ import annotations

import hashlib
import json
import uuid
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from django.utils import timezone
from sklearn.linear_model import LogisticRegression

from e2i_site.jobs.models import Job, JobState
from e2i_site.jobs.runner import run
from e2i_site.mlflow_connector import Rejected, get_connector, models
from e2i_site.trail.models import TrailEntry
from registry.actions.fingerprint_version import fingerprint_version
from registry.actions.request_promotion import request_promotion
from registry.actions.review_promotion import review_promotion
from registry.actions.stages import carry_to_mlflow
from registry.carry import carry
from registry.choices import Stage
from registry.models import Promotion, RegisteredModel, RegistryEntry
from tests.factories.people import PASSWORD, UserFactory
from tests.factories.registry import STAGES, EntryFactory, ModelFactory, PolicyFactory

pytestmark = [pytest.mark.django_db, pytest.mark.mlflow, pytest.mark.usefixtures("quiet_broker")]


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


def approved(entry: RegistryEntry) -> Promotion:
    """A promotion to staging, approved and in effect here; MLflow does not know yet."""
    columns = [{"name": name, "type": "double"} for name in ("age", "income")]
    RegistryEntry.objects.filter(pk=entry.pk).update(
        artifact_digest="ab" * 32, signature={"inputs": columns, "outputs": [{"type": "double"}]}
    )
    entry.refresh_from_db()
    promotion = request_promotion(
        entry=entry, to_stage="staging", reason="first", requester=UserFactory(roles=["requester"])
    )
    review_promotion(
        promotion=promotion,
        reviewer=UserFactory(roles=["reviewer"]),
        decision="approve",
        reason="The gates are convincing.",
        password=PASSWORD,
        revision=promotion.revision,
    )
    promotion.refresh_from_db()
    assert promotion.state == "applied"
    return promotion


def carried_record(promotion: Promotion) -> tuple[TrailEntry, bytes]:
    """What the trail says of the record, and the record as MLflow has it."""
    entry = TrailEntry.objects.get(event="registry.promotion.carried", subject_id=str(promotion.pk))
    told = entry.new
    content = get_connector().read_artifact(f"runs:/{told['mlflow_run_id']}/{told['artifact']}")
    return entry, content


def test_the_record_is_kept_at_the_run_that_made_the_version(registered: RegistryEntry) -> None:
    run_id = get_connector().get_model_version(registered.model_id, 1).run_id
    RegistryEntry.objects.filter(pk=registered.pk).update(mlflow_run_id=run_id)
    registered.refresh_from_db()
    promotion = approved(registered)
    carry(registered.model_id)
    promotion.refresh_from_db()
    entry, content = carried_record(promotion)
    assert promotion.carried_at is not None
    assert entry.new["mlflow_run_id"] == run_id
    assert hashlib.sha256(content).hexdigest() == entry.new["sha256"]
    record = json.loads(content)
    assert (record["model"], record["version"]) == (registered.model_id, 1)
    assert record["request"]["binding_hash"] == promotion.binding_hash
    assert record["request"]["artifact_digest"] == "ab" * 32
    assert [gate["gate_id"] for gate in record["gates"]] == ["artifact_digest", "signature"]
    assert all(gate["evidence_hash"] for gate in record["gates"])
    (review,) = record["reviews"]
    assert (review["decision"], review["reason"]) == ("approve", "The gates are convincing.")
    carry(registered.model_id)
    assert TrailEntry.objects.filter(event="registry.promotion.carried").count() == 1


def test_a_version_without_a_run_has_its_record_beside_the_deployers_runs(
    registered: RegistryEntry,
) -> None:
    promotion = approved(registered)
    assert not registered.mlflow_run_id
    carry(registered.model_id)
    entry, content = carried_record(promotion)
    assert json.loads(content)["request"]["id"] == promotion.pk
    run = get_connector().get_run(entry.new["mlflow_run_id"])
    assert run.tags["promotion_id"] == str(promotion.pk)
    # A worker that was killed before it noted so does not make a second run.
    Promotion.objects.filter(pk=promotion.pk).update(carried_at=None)
    carry(registered.model_id)
    again = TrailEntry.objects.filter(event="registry.promotion.carried").order_by("-id")[0]
    assert again.new["mlflow_run_id"] == run.run_id


def test_the_description_gets_a_paragraph_and_keeps_what_people_wrote(
    registered: RegistryEntry,
) -> None:
    connector, name = get_connector(), registered.model_id
    connector.update_version_description(name, 1, "Trained on the spring data.")
    promotion = approved(registered)
    carry(name)
    first = connector.get_model_version(name, 1).description
    assert first.startswith("Trained on the spring data.\n\n<!-- e2i -->")
    assert f"[promotion {promotion.pk}]" in first
    assert "staging since" in first
    connector.update_version_description(name, 1, f"Better.\n{first}\nAsk Ada.")
    RegistryEntry.objects.filter(pk=registered.pk).update(stage=Stage.ARCHIVED)
    registered.stage_changes.create(
        from_stage="staging", to_stage="archived", cause="rollback", at=timezone.now()
    )
    assert carry(name)["descriptions"] == [1]
    second = connector.get_model_version(name, 1).description
    assert second.startswith("Better.\nTrained on the spring data.")
    assert second.endswith("Ask Ada.")
    assert "archived since" in second
    assert second.count("<!-- e2i -->") == 1
    assert RegistryEntry.objects.get(pk=registered.pk).description == second


def test_the_champion_follows_production_where_the_team_uses_it(registered: RegistryEntry) -> None:
    connector, name = get_connector(), registered.model_id

    def move(from_stage: str, to_stage: str) -> None:
        RegistryEntry.objects.filter(pk=registered.pk).update(stage=to_stage)
        registered.stage_changes.create(
            from_stage=from_stage, to_stage=to_stage, cause="promotion", at=timezone.now()
        )
        carry(name)

    move("shadow", "production")
    assert connector.get_registered_model(name).aliases == {"production": "1"}
    connector.set_alias(name, "champion", 1)
    move("production", "archived")
    assert connector.get_registered_model(name).aliases == {}
    move("archived", "production")
    assert connector.get_registered_model(name).aliases == {"production": "1", "champion": "1"}


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


def test_what_mlflow_does_not_let_us_do_waits_till_it_does(
    registered: RegistryEntry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A password that ran out, or a model that is hidden for a while, loses no decision."""

    def refused(name: str) -> None:
        raise Rejected("MLflow refuses access (403).", status=403)

    carry_to_mlflow(registered.model_id, actor=None)
    job = Job.objects.get(kind="registry.carry_stage")
    with monkeypatch.context() as locked_out:
        locked_out.setattr("registry.carry.mirror_model", refused)
        run(job.pk)
        job.refresh_from_db()
        assert (job.state, job.attempt) == (JobState.WAITING, 0)
        assert "refuses access" in job.message
    Job.objects.filter(pk=job.pk).update(run_after=timezone.now())
    run(job.pk)
    job.refresh_from_db()
    assert job.state == JobState.SUCCEEDED, job.message
