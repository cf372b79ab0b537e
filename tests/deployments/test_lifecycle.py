"""A model's way through shadow, production, replacement and rollback, with every real part."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from django.conf import settings as django_settings
from django.utils import timezone
from mlflow import MlflowClient
from mlflow.entities import Run

from deployments.actions.roll_back import request_rollback
from deployments.choices import DeploymentStatus, WindowState
from deployments.models import Deployment, GatewayInstance, ShadowWindow, TrafficMinute
from e2i_site.audit.choices import Outcome
from e2i_site.audit.registry import CheckContext, find
from e2i_site.jobs.enqueue import enqueue
from e2i_site.jobs.models import Job
from e2i_site.trail.models import TrailEntry
from registry.choices import PromotionState, Stage
from registry.models import RegisteredModel, RegistryEntry
from tests.deployments.conftest import SavedModels
from tests.deployments.gateway.process import running_gateway
from tests.deployments.lifecycle import (
    approve,
    entry_in,
    new_name,
    publish,
    run_jobs,
    short_policy,
)
from tests.factories.registry import ModelFactory
from tests.waiting import wait_for

JSON = {"Content-Type": "application/json"}


@pytest.fixture
def gateway(database_url: str, settings: Any) -> Iterator[str]:
    shutil.rmtree(django_settings.ARTIFACT_STORE, ignore_errors=True)
    with running_gateway(database_url) as url:
        settings.GATEWAY_URL = url
        yield url


@pytest.fixture
def model(transactional_db: None) -> RegisteredModel:
    canary = {"steps": [20, 60], "minutes": 0, "requests": 10}
    return ModelFactory(name=new_name(), policy_name=short_policy(canary=canary).name)


def outcomes(check_id: str) -> dict[str, str]:
    """What a check says: label of each subject and its outcome."""
    check = find(check_id)
    assert check is not None
    results = check.function(CheckContext(check))
    return {each.subject.label: each.outcome for each in results}


def watch() -> None:
    enqueue("deployments.watch")
    (job,) = run_jobs("deployments.watch")
    assert job.state == "succeeded", job.message
    assert job.result["failures"] == 0, job.log


def in_shadow(entry: RegistryEntry, people: Any, url: str, saved: SavedModels) -> None:
    """Through the shadow with measured traffic until the verdict passes."""
    approve(entry, Stage.SHADOW, people)
    (job,) = run_jobs("deployments.roll_out")
    assert job.state == "succeeded", job.message
    entry.refresh_from_db()
    assert entry.stage == Stage.SHADOW, job.log
    window = ShadowWindow.objects.get(entry=entry)
    assert (window.state, window.verdict) == (WindowState.OPEN, "inconclusive")
    path = f"{url}/{entry.model_id}/invocations"
    with httpx.Client() as client:
        for start in range(25):
            response = client.post(path, content=saved.body(start=start), headers=JSON)
            assert response.headers["E2I-Mirrored"] == "shadow"
    shadow = window.deployment_id
    wait_for(lambda: sum_of(shadow) == 25, what="25 measured requests")
    watch()
    window.refresh_from_db()
    assert window.verdict == "pass", window.verdict_detail


def sum_of(deployment: int) -> int:
    return sum(
        TrafficMinute.objects.filter(deployment=deployment).values_list("requests", flat=True)
    )


def into_production(entry: RegistryEntry, people: Any) -> Deployment:
    promotion = approve(entry, Stage.PRODUCTION, people)
    assert promotion.state == PromotionState.APPROVED
    job = wait_for(roll_out, what="an end of the roll-out", seconds=60)
    promotion.refresh_from_db()
    assert promotion.state == PromotionState.APPLIED, promotion.state_reason
    assert job.state == "succeeded", job.message
    return Deployment.objects.get(promotion=promotion)


def roll_out() -> Job | None:
    """One round of the job; None while its canary has not shown enough."""
    (job,) = run_jobs("deployments.roll_out")
    return None if job.state == "waiting" else job


def runs_of(url: str, entry: RegistryEntry) -> list[Run]:
    """The deployer's runs in MLflow, oldest first."""
    client = MlflowClient(tracking_uri=url)
    assert entry.experiment is not None
    experiment = client.get_experiment_by_name(
        f"e2i_model_deployer_{entry.experiment.experiment_id}"
    )
    return list(client.search_runs([experiment.experiment_id], order_by=["start_time ASC"]))


def served_version(url: str, saved: SavedModels) -> str | None:
    response = httpx.post(url, content=saved.body(), headers=JSON)
    return response.headers.get("E2I-Model-Version")


class Callers:
    """Requests without a pause, as long as the block lasts."""

    def __init__(self, url: str, body: bytes) -> None:
        self.versions: list[str] = []
        self.failures: list[str] = []
        self._url, self._body = url, body
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._call) for _ in range(2)]

    def _call(self) -> None:
        with httpx.Client() as client:
            while not self._over.is_set():
                response = client.post(self._url, content=self._body, headers=JSON)
                if response.status_code != 200:
                    self.failures.append(response.text)
                self.versions.append(response.headers.get("E2I-Model-Version", ""))
                self._over.wait(0.05)

    def __enter__(self) -> Callers:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()


@pytest.mark.e2e
def test_the_whole_way(
    gateway: str,
    mlflow_server: str,
    settings: Any,
    people: SimpleNamespace,
    model: RegisteredModel,
    saved: SavedModels,
) -> None:
    settings.MLFLOW_TRACKING_URI = mlflow_server
    first = entry_in(Stage.STAGING, model, saved.champion, 1)
    second = entry_in(Stage.STAGING, model, saved.challenger, 2)
    assert publish(mlflow_server, model.name, saved.champion) == "1"
    assert publish(mlflow_server, model.name, saved.challenger) == "2"
    url = f"{gateway}/{model.name}/invocations"

    in_shadow(first, people, gateway, saved)
    old = into_production(first, people)
    wait_for(lambda: served_version(url, saved) == "1")
    assert old.strategy == "blue_green", "with nothing to be beside, it begins with all callers"

    in_shadow(second, people, gateway, saved)
    with Callers(url, saved.body()) as callers:
        wait_for(lambda: len(callers.versions) > 20)
        new = into_production(second, people)
        wait_for(lambda: callers.versions[-20:] == ["2"] * 20, what="version 2 everywhere")
        watch()
        new.refresh_from_db()
        assert (new.previous_deployment, new.rollback_available) == (old, True)
        assert new.strategy == "canary"
        began = callers.versions.index("2")
        assert "1" in callers.versions[began:], "both answered for a while"
        assert [each["share"] for each in new.canary.measured] == [20, 60]
        old.refresh_from_db()
        assert old.status == DeploymentStatus.DRAINING
        for check_id in ("4.3", "4.4", "4.4b", "4.6", "5.3b"):
            assert set(outcomes(check_id).values()) == {Outcome.PASS}, check_id

        request_rollback(deployment=new, actor=people.deployer, reason="Complaints.")
        (job,) = run_jobs("deployments.roll_back")
        assert job.state == "succeeded", job.message
        wait_for(lambda: callers.versions[-20:] == ["1"] * 20, what="version 1 everywhere")
    assert callers.failures == []
    assert set(callers.versions) == {"1", "2"}

    for row in (old, new, first, second):
        row.refresh_from_db()
    assert (old.status, new.status) == (DeploymentStatus.ACTIVE, DeploymentStatus.ROLLED_BACK)
    assert (first.stage, second.stage) == (Stage.PRODUCTION, Stage.ARCHIVED)
    answer = httpx.post(url, content=saved.body(rows=30), headers=JSON)
    assert answer.headers["E2I-Model-Digest"] == f"sha256:{saved.champion.digest}"
    expected = saved.champion.fitted.predict(saved.frame.head(30)).tolist()
    assert answer.json()["predictions"] == expected
    events = set(TrailEntry.objects.values_list("event", flat=True))
    assert {
        "deployments.deployment.requested",
        "deployments.deployment.activated",
        "deployments.deployment.superseded",
        "deployments.window.opened",
        "deployments.window.judged",
        "deployments.window.closed",
        "deployments.rollback.requested",
        "deployments.rollback.done",
        "deployments.deployment.restored",
    } <= events
    assert {job.state for job in run_jobs("deployments.log_run")} == {"succeeded"}
    runs = runs_of(mlflow_server, first)
    assert [run.data.tags["event"] for run in runs] == ["activated"] * 4 + ["rolled_back"]
    assert runs[-1].data.params["reason"] == "Complaints."
    instance = wait_for(lambda: GatewayInstance.objects.first())
    assert instance.problems == []

    # Somebody changes a served file on disk, and moves a deployment's row by hand.
    folder = django_settings.ARTIFACT_STORE / "sha256" / saved.champion.digest
    (folder / "MLmodel").chmod(0o600)
    (folder / "MLmodel").write_text("changed: true")
    assert outcomes("4.4b")[str(old)] == Outcome.FAIL
    Deployment.objects.filter(pk=old.pk).update(artifact_digest="0" * 64)
    assert outcomes("4.4")[str(old)] == Outcome.FAIL


def test_a_gateway_that_is_away_is_waited_for_and_says_so(
    mlflow_server: str,
    settings: Any,
    people: SimpleNamespace,
    model: RegisteredModel,
    saved: SavedModels,
    database_url: str,
) -> None:
    """First MLflow hides the model, then it is away, then the gateway; nothing fails."""
    shutil.rmtree(django_settings.ARTIFACT_STORE, ignore_errors=True)
    publish(mlflow_server, model.name, saved.champion)
    entry = entry_in(Stage.STAGING, model, saved.champion, 1)
    promotion = approve(entry, Stage.SHADOW, people)
    deployment = Deployment.objects.get(promotion=promotion)

    hidden = RegisteredModel.objects.filter(name=model.name)
    hidden.update(hidden_since=timezone.now())
    run_jobs("deployments.roll_out")
    promotion.refresh_from_db()
    assert promotion.state == PromotionState.APPROVED
    assert promotion.state_reason.startswith("Waits for MLflow to show the model")

    hidden.update(hidden_since=None)
    (job,) = run_jobs("deployments.roll_out")
    promotion.refresh_from_db()
    assert (job.state, promotion.state) == ("waiting", PromotionState.APPROVED)
    assert promotion.state_reason.startswith("Waits for MLflow to hand out the files")

    settings.MLFLOW_TRACKING_URI = mlflow_server
    (job,) = run_jobs("deployments.roll_out")
    deployment.refresh_from_db()
    promotion.refresh_from_db()
    assert (job.state, deployment.status) == ("waiting", DeploymentStatus.DEPLOYING)
    assert promotion.state_reason.startswith("Waits for the gateway")
    assert job.attempt == 0

    with running_gateway(database_url) as url:
        settings.GATEWAY_URL = url
        (job,) = run_jobs("deployments.roll_out")
    entry.refresh_from_db()
    assert (job.state, entry.stage) == ("succeeded", Stage.SHADOW)


@pytest.mark.parametrize("fault", ["other bytes", "sick model"])
def test_what_is_unfit_changes_nothing(
    fault: str,
    gateway: str,
    mlflow_server: str,
    settings: Any,
    people: SimpleNamespace,
    model: RegisteredModel,
    saved: SavedModels,
    tmp_path: Any,
) -> None:
    from tests.deployments.lifecycle import changed_copy

    settings.MLFLOW_TRACKING_URI = mlflow_server
    wrong = {"dataframe_split": {"columns": ["shoe size"], "data": [[43]]}}
    sick = changed_copy(
        saved.champion, tmp_path / "sick", "serving_input_example.json", json.dumps(wrong).encode()
    )
    publish(mlflow_server, model.name, saved.challenger if fault == "other bytes" else sick)
    approved = saved.champion if fault == "other bytes" else sick
    entry = entry_in(Stage.STAGING, model, approved, 1)
    promotion = approve(entry, Stage.SHADOW, people)
    (job,) = run_jobs("deployments.roll_out")
    promotion.refresh_from_db()
    entry.refresh_from_db()
    deployment = Deployment.objects.get(promotion=promotion)
    assert job.result["status"] == deployment.status == DeploymentStatus.FAILED
    assert (promotion.state, entry.stage) == (PromotionState.FAILED, Stage.STAGING)
    expected = "approved was" if fault == "other bytes" else "fails on its own input example"
    assert expected in promotion.state_reason
    assert not ShadowWindow.objects.exists()
    assert TrailEntry.objects.filter(event="deployments.deployment.failed").count() == 1
