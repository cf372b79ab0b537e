"""The mirror of MLflow's registry: shown, not obeyed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from e2i_site.jobs.models import Job
from e2i_site.trail.models import TrailEntry
from registry.choices import Stage
from registry.models import RegisteredModel, RegistryEntry
from registry.sync import sync
from tests.registry.sync.world import World, only_unchanged, own_run
from training.models import TrainingRun


def test_others_versions_become_entries(
    world: World, django_capture_on_commit_callbacks: Any
) -> None:
    experiment = world.experiment("theirs")
    run = world.run(experiment, tags={"framework": "sklearn"})
    world.log(run, params={"alpha": "1"}, metrics={"test_roc_auc": 0.75, "test_brier": 7.0})
    world.end(run)
    version = world.version("churn", run, team="a")
    world.connector.set_alias("churn", "production", version)
    world.connector.set_alias("churn", "champion", version)
    report = sync()
    assert (report.models.created, report.versions.created) == (1, 1)
    model = RegisteredModel.objects.get(name="churn")
    assert model.aliases == {"production": "1", "champion": "1"}
    assert model.synced_at
    entry = RegistryEntry.objects.get(model=model, model_version=1)
    row = TrainingRun.objects.get(mlflow_run_id=run)
    assert (entry.stage, entry.is_champion) == (Stage.DEVELOPMENT, True)
    assert (entry.training_run, row.registry_entry) == (row, entry)
    assert (entry.mlflow_run_id, entry.mlflow_model_uri) == (run, f"runs:/{run}/model")
    assert (entry.auc, entry.brier_score, entry.framework) == (0.75, None, "sklearn")
    assert (entry.artifact_digest, entry.tags) == ("", {"team": "a"})
    assert entry.registered_at
    (change,) = entry.stage_changes.all()
    assert (change.from_stage, change.to_stage, change.cause) == ("", "development", "registered")
    assert TrailEntry.objects.filter(event="registry.version.registered").count() == 1
    job = Job.objects.get(kind="registry.fingerprint")
    assert job.payload == {"entry": entry.pk}
    assert only_unchanged(sync())
    assert Job.objects.filter(kind="registry.fingerprint").count() == 1


def test_moves_past_review_are_shown_but_not_obeyed(world: World) -> None:
    run = world.run(world.experiment("theirs"))
    first, second = world.version("churn", run), world.version("churn", run)
    sync()
    RegistryEntry.objects.filter(model_id="churn", model_version=1).update(
        stage=Stage.PRODUCTION, artifact_digest="a" * 64
    )
    world.connector.set_alias("churn", "production", second)
    world.connector.set_version_tag("churn", first, "e2i.stage", "archived")
    report = sync()
    assert (report.models.updated, report.versions.updated) == (1, 1)
    assert RegisteredModel.objects.get(name="churn").aliases == {"production": second}
    stages = dict(RegistryEntry.objects.values_list("model_version", "stage"))
    assert stages == {1: "production", 2: "development"}
    entry = RegistryEntry.objects.get(model_version=1)
    assert (entry.artifact_digest, entry.tags) == ("a" * 64, {"e2i.stage": "archived"})
    world.connector.delete_alias("churn", "production")
    sync()
    assert RegisteredModel.objects.get(name="churn").aliases == {}


def test_deleted_versions_and_models_are_marked(world: World) -> None:
    run = world.run(world.experiment("theirs"))
    world.version("churn", run)
    world.version("churn", run)
    sync()
    world.connector.transport.write("DELETE", "model-versions/delete", name="churn", version="1")
    assert sync().versions.deleted == 1
    deleted = dict(RegistryEntry.objects.values_list("model_version", "deleted_in_mlflow"))
    assert deleted == {1: True, 2: False}
    world.connector.transport.write("DELETE", "registered-models/delete", name="churn")
    report = sync()
    assert (report.models.deleted, report.versions.deleted) == (1, 1)
    assert RegisteredModel.objects.get(name="churn").deleted_in_mlflow
    assert only_unchanged(sync())


def test_own_versions_are_left_to_whoever_delivers_them(world: World, tmp_path: Path) -> None:
    row = own_run()
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "MLmodel").write_text("flavors: {}\n")
    name = f"e2i_model_trainer_{row.experiment.experiment_id}"
    model = f"e2i_{row.experiment.experiment_id}_lightgbm"
    with world.connector.start_run(name, run_name="r", journal_id=row.journal_id) as run:
        run.log_model(folder, register_as=model)
    sync()
    assert RegisteredModel.objects.get(name=model).experiment == row.experiment
    assert not RegistryEntry.objects.exists()
    TrainingRun.objects.filter(pk=row.pk).update(mlflow_available=True)
    assert sync().versions.created == 1
    entry = RegistryEntry.objects.get()
    assert (entry.training_run, entry.experiment) == (row, row.experiment)
    assert entry.mlflow_model_uri == run.model_uri


def test_prompts_are_no_models(world: World) -> None:
    world.connector.get_or_create_registered_model("greeting")
    world.connector.set_registered_model_tag("greeting", "mlflow.prompt.is_prompt", "true")
    sync()
    assert not RegisteredModel.objects.exists()
