"""Exactly one production version a model, by the database; its successor archives it, or nothing
happens; other models notice nothing."""

from __future__ import annotations

import pytest
from django.db import IntegrityError, transaction

from e2i_site.core.errors import Refused
from e2i_site.trail.models import TrailEntry
from registry.actions.apply_promotion import apply_promotion
from registry.choices import Stage, StageCause
from registry.models import Promotion, RegistryEntry, StageChange
from tests.factories.registry import EntryFactory, ModelFactory, PromotionFactory

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("quiet_broker")]
STAGED = "registry.version.stage_changed"


@pytest.fixture
def others() -> RegistryEntry:
    """Another model's version in production."""
    return EntryFactory(stage=Stage.PRODUCTION)


@pytest.fixture
def present() -> RegistryEntry:
    return EntryFactory(model=ModelFactory(name="churn"), stage=Stage.PRODUCTION)


@pytest.fixture
def approved(present: RegistryEntry, others: RegistryEntry) -> Promotion:
    """Past its gates: what it binds is not the subject here."""
    entry = EntryFactory(model=present.model, stage=Stage.SHADOW)
    return PromotionFactory(
        entry=entry, to_stage=Stage.PRODUCTION, state="approved", past_gates=True
    )


def stages() -> dict[int, str]:
    return dict(RegistryEntry.objects.values_list("pk", "stage"))


def test_the_database_holds_one_a_model(present: RegistryEntry, others: RegistryEntry) -> None:
    for second in (present, others):
        with (
            pytest.raises(IntegrityError, match=r"one_production|model_name"),
            transaction.atomic(),
        ):
            EntryFactory(model=second.model, stage=Stage.PRODUCTION)
    waiting = EntryFactory(model=present.model)
    with pytest.raises(IntegrityError), transaction.atomic():
        RegistryEntry.objects.filter(pk=waiting.pk).update(stage=Stage.PRODUCTION)


def test_the_successor_archives_the_one_before_of_its_model_only(
    present: RegistryEntry, others: RegistryEntry, approved: Promotion
) -> None:
    apply_promotion(promotion=approved, actor=None)
    assert stages() == {
        present.pk: Stage.ARCHIVED,
        approved.entry_id: Stage.PRODUCTION,
        others.pk: Stage.PRODUCTION,
    }
    archived, moved = StageChange.objects.order_by("id")
    assert (archived.entry, archived.cause) == (present, StageCause.SUCCESSOR)
    assert (moved.entry_id, moved.cause) == (approved.entry_id, StageCause.PROMOTION)
    assert moved.at == archived.at
    told = TrailEntry.objects.filter(event=STAGED).order_by("id")
    assert [entry.subject_id for entry in told] == [str(present.pk), str(approved.entry_id)]


def test_one_without_the_other_never_happens(
    present: RegistryEntry, approved: Promotion, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The successor is refused after the one before was archived: both stay where they were."""
    before = stages()

    def refuse(**arguments: object) -> None:
        assert RegistryEntry.objects.get(pk=present.pk).stage == Stage.ARCHIVED
        raise Refused(["The second half does not happen."])

    monkeypatch.setattr("registry.actions.apply_promotion.change_stage", refuse)
    with pytest.raises(Refused, match="second half"):
        apply_promotion(promotion=approved, actor=None)
    assert stages() == before
    assert not StageChange.objects.exists()
    assert not TrailEntry.objects.filter(event=STAGED).exists()
    assert Promotion.objects.get().state == "approved"
