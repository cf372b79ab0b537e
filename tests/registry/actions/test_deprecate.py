"""Deprecation: who, from where, with which signature, and what follows."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from django.test import Client

from e2i_site.core.errors import InvalidInput, Refused
from e2i_site.core.roles import Role
from e2i_site.jobs.models import Job
from e2i_site.trail.models import TrailEntry
from registry.actions.deprecate_version import deprecate_version
from registry.choices import PromotionState, Stage, StageCause
from registry.gates.evaluate import content_hash
from registry.models import RegistryEntry
from registry.wanted import wanted_tags
from tests.factories.deployments import DeploymentFactory
from tests.factories.people import PASSWORD
from tests.factories.registry import EntryFactory, PromotionFactory

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("quiet_broker")]
EVENT = "registry.version.deprecated"


def deprecate(entry: RegistryEntry, actor: Any, **given: str) -> RegistryEntry:
    typed = {"reason": "Trained on wrong labels.", "password": PASSWORD, **given}
    return deprecate_version(entry=entry, actor=actor, **typed)


@pytest.mark.parametrize("stage", [Stage.DEVELOPMENT, Stage.STAGING, Stage.ARCHIVED])
def test_it_leaves_for_good_signed_and_on_record(stage: str, people: SimpleNamespace) -> None:
    entry = EntryFactory(stage=stage)
    pending = PromotionFactory(entry=entry)
    deployed = DeploymentFactory(entry=entry, environment="staging", strategy="direct")
    deprecate(entry, people.administrator)
    entry.refresh_from_db()
    pending.refresh_from_db()
    deployed.refresh_from_db()
    assert entry.stage == Stage.DEPRECATED
    assert entry.stage_changes.get().cause == StageCause.DEPRECATION
    assert pending.state == PromotionState.SUPERSEDED
    assert deployed.status == "retired"
    told = TrailEntry.objects.get(event=EVENT)
    assert (told.actor, told.reason) == (people.administrator, "Trained on wrong labels.")
    said = told.new["statement"]
    assert (said["name"], said["digest"]) == ("Pat Administrator", entry.artifact_digest)
    assert said["meaning"] == f"I take {entry} out of use for good."
    assert told.new["signature"] == content_hash(said)
    assert wanted_tags(entry)["e2i.stage"] == "deprecated"
    assert Job.objects.get(kind="registry.carry_stage").payload == {"model": entry.model_id}


@pytest.mark.parametrize("role", [role for role in Role.values if role != Role.ADMINISTRATOR])
def test_only_an_administrator_may(role: str, people: SimpleNamespace) -> None:
    with pytest.raises(Refused, match="Only an administrator"):
        deprecate(EntryFactory(), getattr(people, role))


@pytest.mark.parametrize(
    ("stage", "words"),
    [
        (Stage.PRODUCTION, "in production; archive it first"),
        (Stage.SHADOW, "in shadow; archive it first"),
        (Stage.DEPRECATED, "deprecated already"),
    ],
)
def test_what_serves_is_archived_first(stage: str, words: str, people: SimpleNamespace) -> None:
    entry = EntryFactory(stage=stage)
    with pytest.raises(Refused, match=words):
        deprecate(entry, people.administrator)
    assert not TrailEntry.objects.filter(event=EVENT).exists()


@pytest.mark.parametrize("given", [{"reason": " "}, {"password": "wrong"}])
def test_what_is_typed_must_be_right(given: dict[str, str], people: SimpleNamespace) -> None:
    entry = EntryFactory()
    with pytest.raises(InvalidInput):
        deprecate(entry, people.administrator, **given)
    entry.refresh_from_db()
    assert entry.stage == Stage.DEVELOPMENT


def test_the_page_says_what_follows_and_keeps_what_was_typed(people: SimpleNamespace) -> None:
    entry, client = EntryFactory(), Client()
    client.force_login(people.administrator)
    url = f"{entry.get_absolute_url()}deprecate/"
    assert url in client.get(entry.get_absolute_url()).content.decode()
    assert "no promotion and no rollback leads back" in client.get(url).content.decode()
    wrong = client.post(url, {"reason": "Wrong labels.", "password": "no"})
    assert wrong.status_code == 400
    assert "Wrong labels." in wrong.content.decode()
    done = client.post(url, {"reason": "Wrong labels.", "password": PASSWORD})
    assert done["Location"] == entry.get_absolute_url()
    client.force_login(people.viewer)
    assert url not in client.get(entry.get_absolute_url()).content.decode()
