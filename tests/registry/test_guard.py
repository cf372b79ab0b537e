"""With the guard on, people cannot move what E2I governs in MLflow, and E2I can."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pytest
from django.core.management import CommandError
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient
from sklearn.linear_model import LogisticRegression

from e2i_site.jobs.models import Job, JobState
from e2i_site.jobs.runner import run as run_job
from e2i_site.mlflow_connector import get_connector, models
from registry.actions.request_promotion import request_promotion
from registry.actions.review_promotion import review_promotion
from registry.governed import publish
from registry.management.commands import mlflow_server
from registry.models import Promotion, RegistryEntry
from tests import mlflow_accounts, mlflow_process
from tests.factories.people import PASSWORD, UserFactory
from tests.factories.registry import STAGES, EntryFactory, ModelFactory, PolicyFactory
from training.models import MlflowExperiment

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.mlflow,
    pytest.mark.once,
    pytest.mark.usefixtures("quiet_broker"),
]
TOKEN = "a token that only E2I has"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """A guarded server, and the file that tells it what is governed."""
    folder = tmp_path_factory.mktemp("guarded")
    guard = guard_in(folder)
    pid, url = mlflow_process.start_server(folder, guard=guard)
    yield url, Path(guard["E2I_GUARD_LIST"])
    mlflow_process.stop_group(pid)


def guard_in(folder: Path) -> dict[str, str]:
    """Variables of a guard whose files are in the folder."""
    return {
        "DJANGO_SETTINGS_MODULE": "e2i_site.settings",
        "E2I_DATA_DIR": str(folder),
        "E2I_GUARD_TOKEN": TOKEN,
        "E2I_GUARD_LIST": str(folder / "governed.json"),
    }


@pytest.fixture
def client(guarded: tuple[str, Path], settings: Any, tmp_path: Path) -> MlflowClient:
    """What people use, and E2I's settings for the same server."""
    url, listing = guarded
    settings.MLFLOW_TRACKING_URI, settings.GUARD_LIST = url, listing
    settings.MLFLOW_JOURNAL_DIR, settings.GUARD_TOKEN = tmp_path / "journal", TOKEN
    settings.SITE_URL = "http://e2i.example"
    publish()
    return MlflowClient(url, url)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rows = pd.DataFrame({"age": np.linspace(20, 60, 40), "income": np.linspace(1, 9, 40)})
    return models.save_model(
        LogisticRegression().fit(rows, [0] * 20 + [1] * 20),
        tmp_path_factory.mktemp("model") / "saved",
        example=rows.head(2),
        requirements=["scikit-learn"],
        predict_method="predict_proba",
    )


@pytest.fixture
def version(client: MlflowClient, saved: Path) -> RegistryEntry:
    """A version that E2I trained: in MLflow, and here."""
    name = f"e2i_guard_{uuid.uuid4().hex[:8]}"
    with get_connector().start_run(name, run_name="a run") as tracked:
        tracked.log_model(saved, register_as=name)
    run = client.get_run(tracked.mlflow_run_id or "")
    experiment = client.get_experiment(run.info.experiment_id)
    MlflowExperiment.objects.create(mlflow_id=experiment.experiment_id, name=experiment.name)
    PolicyFactory(name="light", stages=STAGES)
    entry = EntryFactory(
        model=ModelFactory(name=name, policy_name="light"),
        training_run__mlflow_run_id=run.info.run_id,
        training_run__mlflow_experiment_id=run.info.experiment_id,
        mlflow_model_uri=client.get_model_version(name, "1").source,
        artifact_digest=models.digest(saved),
    )
    publish()
    return entry


def promote(entry: RegistryEntry) -> Promotion:
    promotion = request_promotion(
        entry=entry, to_stage="staging", reason="first", requester=UserFactory(roles=["requester"])
    )
    review_promotion(
        promotion=promotion, reviewer=UserFactory(roles=["reviewer"]), decision="approve",
        reason="fine", revision=promotion.revision, password=PASSWORD,
    )  # fmt: skip
    job = Job.objects.get(kind="registry.carry_stage")
    run_job(job.pk)
    job.refresh_from_db()
    assert job.state == JobState.SUCCEEDED, job.message
    return promotion


def refused(call: Any, *arguments: Any, **named: Any) -> str:
    with pytest.raises(MlflowException) as caught:
        call(*arguments, **named)
    assert caught.value.error_code == "PERMISSION_DENIED"
    return str(caught.value)


def test_the_production_alias_is_refused_by_hand(
    client: MlflowClient, version: RegistryEntry
) -> None:
    """Even before the first promotion: there is no way around it."""
    name = version.model_id
    message = refused(client.set_registered_model_alias, name, "production", "1")
    assert f"http://e2i.example/registry/models/{name}/" in message
    assert client.get_registered_model(name).aliases == {}
    client.set_registered_model_alias(name, "theirs", "1")
    assert client.get_registered_model(name).aliases == {"theirs": "1"}


@pytest.mark.filterwarnings("ignore:.*deprecated since 2.9:FutureWarning")
def test_e2i_promotes_through_it_and_its_work_is_protected(
    client: MlflowClient, version: RegistryEntry
) -> None:
    promotion = promote(version)
    name, run_id = version.model_id, version.mlflow_run_id
    found = client.get_model_version_by_alias(name, "staging")
    assert (found.version, found.tags["e2i.stage"]) == ("1", "staging")
    message = refused(client.set_registered_model_alias, name, "production", "1")
    assert f"http://e2i.example/registry/promotions/{promotion.pk}/" in message
    refused(client.delete_registered_model_alias, name, "staging")
    refused(client.set_model_version_tag, name, "1", "e2i.stage", "production")
    refused(client.transition_model_version_stage, name, "1", "Production")
    refused(client.delete_model_version, name, "1")
    refused(client.delete_registered_model, name)
    refused(client.rename_registered_model, name, "another")
    refused(client.delete_run, run_id)
    refused(client.log_metric, run_id, "auc", 0.99)
    refused(client.delete_experiment, client.get_run(run_id).info.experiment_id)
    refused(client.delete_logged_model, version.mlflow_model_uri.removeprefix("models:/"))
    publish()
    written = client.get_model_version(name, "1").description
    refused(client.update_model_version, name, "1", "nothing of E2I's")
    client.update_model_version(name, "1", f"Mine.\n\n{written}")
    client.set_model_version_tag(name, "1", "team", "churn")
    assert client.get_model_version(name, "1").tags["team"] == "churn"
    assert client.get_run(run_id).data.metrics == {}


def test_the_users_interface_and_files_are_guarded_too(
    client: MlflowClient, version: RegistryEntry, guarded: tuple[str, Path]
) -> None:
    promote(version)
    alias = {"name": version.model_id, "alias": "champion", "version": "1"}
    logged = client.get_logged_model(version.mlflow_model_uri.removeprefix("models:/"))
    folder = logged.artifact_location.removeprefix("mlflow-artifacts:/")
    with httpx.Client(base_url=guarded[0]) as people:
        answer = people.post("/ajax-api/2.0/mlflow/registered-models/alias", json=alias)
        assert answer.status_code == 403
        assert set(answer.json()) == {"error_code", "message"}
        file = f"/api/2.0/mlflow-artifacts/artifacts/{folder}/MLmodel"
        before = people.get(file).content
        assert b"artifact_path" in before or b"flavors" in before
        assert people.put(file, content=b"other bytes").status_code == 403
        assert people.put(file.replace("m-", "%6D-"), content=b"other").status_code == 403
        # MLflow reads a path as an address: it leaves out tabs, and what is empty at the end.
        assert people.put(file.replace("m-", "m-%09"), content=b"other").status_code == 403
        whole = f"/api/2.0/mlflow-artifacts/artifacts/{folder.partition('/')[0]}"
        assert people.delete(f"{whole}%3F").status_code == 403
        assert people.get(file).content == before
        wrong = people.post(
            "/api/2.0/mlflow/registered-models/alias", json=alias,
            headers={"E2I-Guard-Token": "a guess"},
        )  # fmt: skip
        assert wrong.status_code == 403


def test_runs_and_models_of_others_are_untouched(client: MlflowClient, saved: Path) -> None:
    experiment = client.create_experiment(f"theirs {uuid.uuid4().hex[:8]}")
    theirs = client.create_run(experiment).info.run_id
    client.log_metric(theirs, "auc", 0.5)
    client.log_text(theirs, "some words", "notes.txt")
    client.set_terminated(theirs)
    client.set_tag(theirs, "late", "yes")
    name = client.create_registered_model(f"theirs_{uuid.uuid4().hex[:8]}").name
    client.create_model_version(name, f"runs:/{theirs}/notes.txt", theirs)
    client.set_registered_model_alias(name, "production", "1")
    client.delete_registered_model(name)
    client.delete_run(theirs)
    client.delete_experiment(experiment)


def test_it_stands_before_mlflows_accounts(
    tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`--app-name basic-auth`: who may do everything in MLflow may not move what E2I governs."""
    guard, name = guard_in(tmp_path), f"e2i_accounts_{uuid.uuid4().hex[:8]}"
    settings.GUARD_LIST = Path(guard["E2I_GUARD_LIST"])
    ModelFactory(name=name)
    with mlflow_accounts.accounts_server(tmp_path, guard) as url:
        publish()
        for called, value in zip(("USERNAME", "PASSWORD"), mlflow_accounts.ADMIN, strict=True):
            monkeypatch.setenv(f"MLFLOW_TRACKING_{called}", value)
        admin = MlflowClient(url, url)
        admin.create_registered_model(name)
        refused(admin.rename_registered_model, name, "another")
        admin.create_registered_model("theirs")
        admin.rename_registered_model("theirs", "another")
        address = f"{url}/api/2.0/mlflow/registered-models/rename"
        body, ours = {"name": name, "new_name": "another name"}, {"E2I-Guard-Token": TOKEN}
        stranger = httpx.post(address, json=body, headers=ours)
        assert stranger.status_code == 401, "E2I's token lets nobody into MLflow"
        known = httpx.post(address, json=body, headers=ours, auth=mlflow_accounts.ADMIN)
        assert known.status_code == 200, known.text


def test_an_application_that_mlflow_does_not_have_is_refused() -> None:
    with pytest.raises(
        CommandError, match=r"--app-name basic is unknown to MLflow; it has basic-auth"
    ):
        mlflow_server.Command().handle(arguments=["--app-name", "basic"])


def test_the_file_says_what_is_so_and_is_written_only_when_that_changes(
    version: RegistryEntry, settings: Any
) -> None:
    assert publish() is False
    said = json.loads(settings.GUARD_LIST.read_text())
    assert version.model_id in said["models"]
    assert not said["versions"], "nobody asked for anything yet"
    promotion = request_promotion(
        entry=version, to_stage="staging", reason="x", requester=UserFactory(roles=["requester"])
    )
    job = Job.objects.get(kind="registry.publish_governed")
    run_job(job.pk)
    (row,) = json.loads(settings.GUARD_LIST.read_text())["versions"]
    assert (row["model"], row["version"], row["promotion"]) == (version.model_id, "1", promotion.pk)
    assert (row["run"], row["ended"]) == (version.mlflow_run_id, True)
    assert f"models:/{row['logged_model']}" == version.mlflow_model_uri
