"""Each way in which MLflow and the registry can differ is found by the check that is for it."""

from __future__ import annotations

import os
import uuid
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from e2i_site.audit.actions.remedy import apply_remedy
from e2i_site.audit.models import CheckResult, Finding
from e2i_site.jobs.models import Job
from e2i_site.jobs.runner import run
from e2i_site.mlflow_connector import MLflowConnector, get_connector
from e2i_site.mlflow_connector.artifacts import local_path
from registry.audit_checks import versions
from registry.carry import carry
from registry.choices import Stage, StageCause
from registry.mirror import mirror_model
from registry.models import RegisteredModel, RegistryEntry, StageChange
from tests.factories.people import UserFactory
from tests.factories.registry import EntryFactory, ModelFactory
from tests.factories.training import TrainingRunFactory
from tests.registry.audit_checks.conftest import audit
from training.models import MlflowExperiment, TrainingRun

pytestmark = [pytest.mark.django_db, pytest.mark.once]

MLMODEL = """artifact_path: model
flavors: {}
model_uuid: m
"""


@pytest.fixture
def connector(mlflow_server: str, settings: Any, tmp_path: Path) -> MLflowConnector:
    settings.MLFLOW_TRACKING_URI = mlflow_server
    settings.MLFLOW_JOURNAL_DIR = tmp_path / "journal"
    return get_connector()


def register(connector: MLflowConnector, name: str, folder: Path) -> RegistryEntry:
    """Another version of `name` in MLflow, with its run and its row here."""
    folder.mkdir()
    (folder / "MLmodel").write_text(MLMODEL)
    (folder / "model.bin").write_bytes(os.urandom(2000))
    with connector.start_run(name, run_name="a run") as run:
        digest = run.log_model(folder, register_as=name)
    result = run.result
    model = RegisteredModel.objects.filter(name=name).first() or ModelFactory(name=name)
    return EntryFactory(
        model=model,
        model_version=int(result.model_version or 0),
        training_run=TrainingRunFactory(
            experiment=model.experiment, mlflow_run_id=result.run_id, mlflow_available=True
        ),
        mlflow_model_uri=result.model_uri,
        artifact_digest=digest,
        trained_at=timezone.now(),
    )


def move(entry: RegistryEntry, *stages: str) -> None:
    for stage in stages:
        StageChange.objects.create(
            entry=entry,
            from_stage=entry.stage,
            to_stage=stage,
            cause=StageCause.PROMOTION,
            at=timezone.now(),
        )
        entry.stage = stage
    entry.save()


@pytest.fixture
def serving(connector: MLflowConnector, tmp_path: Path) -> RegistryEntry:
    """Version 2 in production and version 1 archived, here and in MLflow."""
    name = f"e2i_audit-{uuid.uuid4().hex[:8]}_LightGBM"
    old, new = (register(connector, name, tmp_path / part) for part in ("one", "two"))
    move(old, "staging", "shadow", "production", "archived")
    move(new, "staging", "shadow", "production")
    carry(name)
    return new


def about(result: CheckResult, subject: Any) -> Any:
    return result.outcomes.get(subject_kind=subject._meta.label_lower, subject_key=str(subject.pk))


@pytest.mark.parametrize("check_id", ["3.3", "3.4", "3.5", "4.1", "4.2"])
def test_a_healthy_registry_passes(serving: RegistryEntry, check_id: str) -> None:
    result = audit(check_id)
    subject = serving.model if check_id == "4.2" else serving
    assert about(result, subject).outcome == "pass"
    found = Finding.objects.filter(check_id=check_id)
    # Versions of other tests stand in the same server.
    assert not found.exclude(subject_kind="mlflow.version").exists()


def test_an_alias_moved_by_hand_is_p0(serving: RegistryEntry, connector: MLflowConnector) -> None:
    connector.set_alias(serving.model_id, "production", 1)
    mirror_model(serving.model_id)
    outcome = about(audit("4.2"), serving.model)
    assert (outcome.outcome, outcome.priority) == ("fail", "P0")
    assert outcome.message == (
        "MLflow's alias production was moved out of band to version 1; decided was version 2."
    )
    assert outcome.evidence["decided"] == {"production": "2"}
    (moved,) = outcome.evidence["out_of_band"]
    assert (moved["before"], moved["after"], moved["by"]) == ("2", "1", None)
    assert moved["noticed_at"]
    carry(serving.model_id)
    assert about(audit("4.2"), serving.model).outcome == "pass"
    assert Finding.objects.get(check_id="4.2").status == "resolved"


def test_an_alias_taken_away_is_found(serving: RegistryEntry, connector: MLflowConnector) -> None:
    connector.delete_alias(serving.model_id, "production")
    assert about(audit("4.2"), serving.model).priority == "P0"


def test_an_alias_that_nobody_decided_is_found(
    serving: RegistryEntry, connector: MLflowConnector
) -> None:
    connector.set_alias(serving.model_id, "staging", 1)
    outcome = about(audit("4.2"), serving.model)
    assert (outcome.priority, "nobody decided" in outcome.message) == ("P1", True)


def test_aliases_that_are_no_stages_are_left_alone(
    serving: RegistryEntry, connector: MLflowConnector
) -> None:
    connector.set_alias(serving.model_id, "favourite", 1)
    assert about(audit("4.2"), serving.model).outcome == "pass"


def test_a_tag_written_by_hand_is_found(serving: RegistryEntry, connector: MLflowConnector) -> None:
    connector.set_version_tag(serving.model_id, 1, "e2i.stage", "production")
    outcome = about(audit("4.2"), serving.model)
    assert (outcome.outcome, outcome.priority) == ("fail", "P2")


def test_a_decision_on_its_way_is_no_finding(
    serving: RegistryEntry, connector: MLflowConnector
) -> None:
    connector.set_alias(serving.model_id, "production", 1)
    Job.objects.create(
        kind="registry.carry_stage",
        subject=serving.trail_scope,
        run_after=timezone.now(),
        request_id=uuid.uuid4(),
        message="MLflow refuses access.",
    )
    assert about(audit("4.2"), serving.model).outcome == "inconclusive"
    Job.objects.update(created_at=timezone.now() - timedelta(minutes=16))
    outcome = about(audit("4.2"), serving.model)
    assert (outcome.outcome, outcome.priority) == ("fail", "P0")
    assert "waits to be carried there: MLflow refuses access." in outcome.message


def artifact_file(connector: MLflowConnector, server_dir: Path, entry: RegistryEntry) -> Path:
    location = connector.artifact_location(f"{entry.mlflow_model_uri}/model.bin")
    found = local_path(location)
    return found or server_dir / location.split("mlflow-artifacts:/", 1)[1].lstrip("/")


def test_a_model_file_changed_on_disk_is_p0(
    serving: RegistryEntry, connector: MLflowConnector
) -> None:
    folder = Path(os.environ["E2I_TEST_DIR"]) / "mlflow" / "artifacts"
    file = artifact_file(connector, folder, serving)
    content = bytearray(file.read_bytes())
    content[1000] ^= 1
    file.write_bytes(content)
    outcome = about(audit("3.3"), serving)
    assert (outcome.outcome, outcome.priority) == ("fail", "P0")
    assert outcome.evidence["registered"] == serving.artifact_digest
    assert outcome.evidence["stored"] != serving.artifact_digest


def test_a_model_file_that_is_gone_is_p0(
    serving: RegistryEntry, connector: MLflowConnector
) -> None:
    folder = Path(os.environ["E2I_TEST_DIR"]) / "mlflow" / "artifacts"
    artifact_file(connector, folder, serving).unlink()
    assert about(audit("3.3"), serving).priority == "P0"


def test_only_staged_versions_are_downloaded(
    serving: RegistryEntry, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    real = versions.stored_digest
    monkeypatch.setattr(
        versions, "stored_digest", lambda context, uri: asked.append(uri) or real(context, uri)
    )
    audit("3.3")
    assert asked == [f"models:/{serving.model_id}/2"]


def test_a_deleted_run_behind_a_version_is_p1(
    serving: RegistryEntry, connector: MLflowConnector
) -> None:
    connector.transport.write("POST", "runs/delete", run_id=serving.mlflow_run_id)
    outcome = about(audit("3.4"), serving)
    assert (outcome.priority, outcome.message) == ("P1", "Its run was deleted in MLflow.")


def test_a_run_id_that_mlflow_does_not_know_is_found(serving: RegistryEntry) -> None:
    wrong = uuid.uuid4().hex
    RegistryEntry.objects.filter(pk=serving.pk).update(mlflow_run_id=wrong)
    outcome = about(audit("3.4"), serving)
    assert outcome.message == "MLflow names another run for it."
    assert outcome.evidence["here"] == wrong


def test_a_missing_run_id_is_found(serving: RegistryEntry) -> None:
    RegistryEntry.objects.filter(pk=serving.pk).update(mlflow_run_id="")
    assert about(audit("3.4"), serving).message == "It names no MLflow run."


def test_an_old_stage_is_p3(serving: RegistryEntry, connector: MLflowConnector) -> None:
    connector.transport.write(
        "POST",
        "model-versions/transition-stage",
        name=serving.model_id,
        version="1",
        stage="Production",
    )
    result = audit("3.5")
    first = RegistryEntry.objects.get(model=serving.model, model_version=1)
    assert about(result, first).priority == "P3"
    assert about(result, serving).outcome == "pass"


def test_a_version_deleted_in_mlflow_is_p0_while_it_serves(
    serving: RegistryEntry, connector: MLflowConnector
) -> None:
    connector.transport.write("DELETE", "model-versions/delete", name=serving.model_id, version="2")
    outcome = about(audit("3.3"), serving)
    assert (outcome.priority, "no such version" in outcome.message) == ("P0", True)


def test_what_mlflow_hides_is_judged_neither_way(
    serving: RegistryEntry, connector: MLflowConnector
) -> None:
    """As an account sees it that may read the model and its run no more."""
    run = serving.training_run
    assert run is not None
    hidden = MlflowExperiment.objects.create(
        mlflow_id=f"hidden-{run.pk}", name="Theirs", hidden_since=timezone.now()
    )
    TrainingRun.objects.filter(pk=run.pk).update(mlflow_run_id="0" * 32, mlflow_experiment=hidden)
    RegistryEntry.objects.filter(pk=serving.pk).update(mlflow_run_id="0" * 32)
    assert about(audit("3.4"), serving).outcome == "fail"  # MLflow still lists the version
    connector.transport.write("DELETE", "registered-models/delete", name=serving.model_id)
    assert about(audit("3.3"), serving).outcome == "fail"
    RegisteredModel.objects.filter(name=serving.model_id).update(hidden_since=timezone.now())
    for check_id in ("3.3", "3.4", "3.5"):
        assert about(audit(check_id), serving).outcome == "inconclusive"
    assert about(audit("4.2"), serving.model).outcome == "inconclusive"
    MlflowExperiment.objects.filter(pk=hidden.pk).update(hidden_since=None)
    assert about(audit("3.4"), serving).outcome == "fail"


def test_a_version_that_the_mirror_has_not_seen(
    serving: RegistryEntry, monkeypatch: pytest.MonkeyPatch
) -> None:
    StageChange.objects.filter(entry__model_version=1).delete()
    RegistryEntry.objects.filter(model=serving.model, model_version=1).delete()
    key = f"{serving.model_id}/1"
    assert audit("3.3").outcomes.get(subject_key=key).outcome == "inconclusive"
    monkeypatch.setattr(versions, "SYNC_DELAY", timedelta(0))
    assert audit("3.3").outcomes.get(subject_key=key).outcome == "fail"


def test_missing_metadata_is_p2(serving: RegistryEntry) -> None:
    RegistryEntry.objects.filter(pk=serving.pk).update(signature={}, framework="")
    outcome = about(audit("4.1"), serving)
    assert outcome.priority == "P2"
    assert outcome.evidence["missing"] == ["signature inputs", "signature outputs", "framework"]


def test_without_mlflow_nothing_passes(settings: Any, tmp_path: Path) -> None:
    settings.MLFLOW_TRACKING_URI = "http://127.0.0.1:9"
    settings.MLFLOW_JOURNAL_DIR = tmp_path / "journal"
    EntryFactory(stage=Stage.PRODUCTION)
    for check_id in ("3.3", "3.4", "3.5", "4.2"):
        result = audit(check_id)
        assert (result.outcome, result.passed) == ("inconclusive", 0)
        assert result.message


def test_the_remedy_of_a_moved_alias_restores_it(
    serving: RegistryEntry, connector: MLflowConnector
) -> None:
    connector.set_alias(serving.model_id, "production", 1)
    audit("4.2")
    finding = Finding.objects.get(check_id="4.2")
    apply_remedy(finding=finding, actor=UserFactory(roles=["deployer"]))
    run(Job.objects.get(kind="registry.carry_stage").pk)
    assert connector.get_version_by_alias(serving.model_id, "production").version == "2"
    audit("4.2")
    finding.refresh_from_db()
    assert finding.status == "resolved"
