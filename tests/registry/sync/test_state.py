"""What a sync tells of itself, and that two of them exclude each other."""

from __future__ import annotations

import json
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.utils import timezone

from e2i_site.jobs.handlers import Wait, find
from e2i_site.jobs.models import BreakerRecord
from e2i_site.mlflow_connector import Unreachable
from registry.models import SyncState
from registry.sync import SyncBusy, sync
from tests.registry.sync.world import World


def test_the_state_says_when_and_why_not(world: World, settings: Any) -> None:
    report = sync()
    state = SyncState.objects.get()
    assert (state.mode, state.error, state.counts) == ("full", "", report.as_dict())
    assert state.succeeded_at
    assert state.server_version[:2] == "3."
    assert state.lease_token is None
    good = settings.MLFLOW_TRACKING_URI
    settings.MLFLOW_TRACKING_URI = "http://user:hunter2@127.0.0.1:9"
    with pytest.raises(Unreachable):
        sync()
    failed = SyncState.objects.get()
    assert failed.failed_at
    assert "does not answer" in failed.error
    assert "hunter2" not in failed.error
    assert (failed.succeeded_at, failed.lease_token) == (state.succeeded_at, None)
    with pytest.raises(Wait, match="Waits for MLflow"):
        find("mlflow.sync").function(FakeContext())  # type: ignore[arg-type]
    settings.MLFLOW_TRACKING_URI = good
    BreakerRecord.objects.all().delete()
    sync()
    assert SyncState.objects.get().error == ""


class FakeContext:
    payload: dict[str, Any] = {}

    def __init__(self) -> None:
        self.phases: list[str] = []

    def progress(self, phase: str, done: int = 0, total: int = 0) -> None:
        self.phases.append(phase)


def test_the_job_tells_its_progress(world: World) -> None:
    world.run(world.experiment("theirs"))
    context = FakeContext()
    result = find("mlflow.sync").function(context)  # type: ignore[arg-type]
    assert result["mode"] == "full"
    assert context.phases[0] == "Experiments"
    assert "Runs" in context.phases
    assert context.phases[-1] == "Registry"


def test_two_syncs_exclude_each_other(world: World) -> None:
    SyncState.objects.create(
        lease_token="0" * 32, lease_expires_at=timezone.now() + timedelta(minutes=1)
    )
    with pytest.raises(SyncBusy):
        sync()
    with pytest.raises(Wait):
        find("mlflow.sync").function(FakeContext())  # type: ignore[arg-type]
    SyncState.objects.update(lease_expires_at=timezone.now() - timedelta(seconds=1))
    assert sync().mode == "full"


def test_a_sync_that_lost_its_lease_stops(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def steal(phase: str, done: int, total: int) -> None:
        SyncState.objects.update(lease_token="1" * 32)

    with pytest.raises(SyncBusy, match="took over"):
        sync(progress=steal)
    assert SyncState.objects.get().lease_token


def test_another_server_is_read_anew(world: World) -> None:
    sync()
    SyncState.objects.update(cursor={"url": "http://elsewhere", "since": "x", "sweeps": {}})
    assert sync().mode == "full"


def test_the_command_prints_one_document(world: World) -> None:
    world.run(world.experiment("theirs"))
    out = StringIO()
    call_command("sync_mlflow", "--full", "--json", stdout=out)
    document = json.loads(out.getvalue())
    assert document["mode"] == "full"
    assert document["requests"] >= 5
    assert document["seconds"] > 0
    for kind in ("experiments", "runs", "models", "versions"):
        assert set(document[kind]) == {"seen", "created", "updated", "deleted", "unchanged"}
    out = StringIO()
    call_command("sync_mlflow", stdout=out)
    assert "MLflow mirrored (incremental)" in out.getvalue()


def test_the_command_says_why_not(db: None, settings: Any, capsys: Any) -> None:
    settings.MLFLOW_TRACKING_URI = "http://127.0.0.1:9"
    err = StringIO()
    with pytest.raises(SystemExit) as caught:
        call_command("sync_mlflow", "--json", stderr=err)
    assert caught.value.code == 1
    assert "was not mirrored" in err.getvalue()
