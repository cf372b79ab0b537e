"""A rollback returns stage, deployment and traffic together, or changes nothing."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace

import pytest
from django.utils import timezone

from deployments.actions.roll_back import fail_rollback, request_rollback, switch_back
from deployments.choices import DeploymentStatus
from deployments.models import Deployment
from deployments.rollback import readiness
from deployments.store import ArtifactStore
from e2i_site.core.errors import Conflict, InvalidInput, Refused
from e2i_site.jobs.enqueue import enqueue
from e2i_site.jobs.models import Job
from e2i_site.trail.models import TrailEntry
from registry.actions.emergency_stop import emergency_stop
from registry.choices import Stage
from registry.models import StageChange
from tests.deployments.conftest import SavedModels
from tests.factories.deployments import DeploymentFactory
from tests.factories.registry import EntryFactory, ModelFactory, digest

pytestmark = pytest.mark.django_db


@pytest.fixture
def chain(db: None) -> list[Deployment]:
    """Three deployments of one model, the last one active."""
    model = ModelFactory()
    found: list[Deployment] = []
    for number in (1, 2, 3):
        last = number == 3
        entry = EntryFactory(
            model=model,
            model_version=number,
            stage=Stage.PRODUCTION if last else Stage.ARCHIVED,
        )
        found.append(
            DeploymentFactory(
                entry=entry,
                status=DeploymentStatus.ACTIVE if last else DeploymentStatus.DRAINING,
                previous_deployment=found[-1] if found else None,
            )
        )
    return found


def state(chain: list[Deployment]) -> list[tuple[str, str]]:
    return [
        (row.status, row.entry.stage)
        for row in Deployment.objects.filter(pk__in=[each.pk for each in chain])
        .select_related("entry")
        .order_by("pk")
    ]


def events(event: str) -> int:
    return TrailEntry.objects.filter(event=f"deployments.{event}").count()


def test_it_is_asked_for_once_with_a_reason(
    chain: list[Deployment], people: SimpleNamespace
) -> None:
    active = chain[-1]
    with pytest.raises(InvalidInput, match="Say why"):
        request_rollback(deployment=active, actor=people.deployer, reason=" ")
    with pytest.raises(Refused, match="needs the role"):
        request_rollback(deployment=active, actor=people.approver, reason="Complaints.")
    first = request_rollback(deployment=active, actor=people.deployer, reason="Complaints.")
    again = request_rollback(deployment=active, actor=None, reason="Automatic: errors.")
    assert first == again
    assert first.payload == {"deployment": active.pk, "reason": "Complaints."}
    assert events("rollback.requested") == 1


def test_it_does_not_wait_for_a_roll_out_that_waits(chain: list[Deployment]) -> None:
    """For MLflow, say; what serves and fails cannot wait with it."""
    active = chain[-1]
    enqueue(
        "deployments.roll_out",
        payload={"deployment": 0},
        subject=f"endpoint:{active.endpoint_name}",
        run_after=timezone.now() + timedelta(hours=1),
    )
    job = request_rollback(deployment=active, actor=None, reason="Automatic: errors.")
    assert job in Job.objects.due(timezone.now())


def test_it_goes_back_step_by_step(chain: list[Deployment], people: SimpleNamespace) -> None:
    common = {"actor": people.deployer, "reason": "Complaints.", "health": "fine"}
    restored = switch_back(deployment=chain[2], **common)
    assert restored == chain[1]
    assert state(chain) == [
        ("draining", "archived"),
        ("active", "production"),
        ("rolled_back", "archived"),
    ]
    assert switch_back(deployment=restored, **common) == chain[0]
    assert state(chain)[0] == ("active", "production")
    assert (events("rollback.done"), events("deployment.restored")) == (2, 2)
    rolled_back = Deployment.objects.get(pk=chain[2].pk)
    # At no moment on record is nothing in production, or a version that did not serve.
    away, back = StageChange.objects.order_by("id")[:2]
    assert away.at == back.at == rolled_back.rolled_back_at
    assert rolled_back.rollback_reason == "Complaints."
    assert rolled_back.rolled_back_at is not None
    assert Job.objects.filter(kind="registry.carry_stage").exists()
    with pytest.raises(Refused, match="no previous deployment"):
        switch_back(deployment=chain[0], **common)


def test_a_previous_version_with_other_files_changes_nothing(chain: list[Deployment]) -> None:
    previous = chain[1].entry
    previous.artifact_digest = digest("other")
    previous.save()
    before = state(chain)
    with pytest.raises(Conflict, match="other files now"):
        switch_back(deployment=chain[2], actor=None, reason="Errors.", health="fine")
    assert state(chain) == before
    assert events("rollback.done") == 0


def test_no_rollback_leads_to_what_was_stopped_in_an_emergency(
    chain: list[Deployment], people: SimpleNamespace
) -> None:
    entry = chain[1].entry
    entry.stage = Stage.SHADOW  # restored, and on its way again
    entry.save()
    emergency_stop(
        entry=entry, actor=people.deployer, reason="Nonsense.", confirmation=entry.model_id
    )
    before = state(chain)
    with pytest.raises(Refused, match="was stopped in an emergency"):
        request_rollback(deployment=chain[2], actor=None, reason="Automatic: errors.")
    with pytest.raises(Refused, match="was stopped in an emergency"):
        switch_back(deployment=chain[2], actor=None, reason="Errors.", health="fine")
    assert state(chain) == before


def test_a_failed_rollback_is_on_record(chain: list[Deployment]) -> None:
    before = state(chain)
    fail_rollback(deployment=chain[2], actor=None, reason="The bytes are gone.")
    assert state(chain) == before
    row = Deployment.objects.get(pk=chain[2].pk)
    assert (row.rollback_available, row.rollback_detail) == (False, "The bytes are gone.")
    assert events("rollback.failed") == 1


def test_readiness_follows_from_the_stored_bytes(
    chain: list[Deployment], store: ArtifactStore, saved: SavedModels, settings: object
) -> None:
    settings.ARTIFACT_STORE = store.path("0" * 64).parent.parent  # type: ignore[attr-defined]
    active = chain[2]
    assert readiness(active)[0] is False
    Deployment.objects.filter(pk=chain[1].pk).update(artifact_digest=saved.champion.digest)
    active = Deployment.objects.select_related("previous_deployment__entry").get(pk=active.pk)
    available, detail = readiness(active)
    assert available
    assert "match" in detail
    file = store.path(saved.champion.digest) / "MLmodel"
    file.chmod(0o600)
    file.write_text("changed")
    available, detail = readiness(active)
    assert not available
    assert "changed on disk" in detail
