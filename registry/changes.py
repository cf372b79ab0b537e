"""What others changed in MLflow's registry, told apart from what E2I carried there itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Q

from e2i_site.activity.changes import ALIASES, TAGS, Noticing, Subject
from e2i_site.activity.choices import EventKind, EventSource
from e2i_site.activity.models import MlflowEvent
from e2i_site.jobs.models import Job
from e2i_site.mlflow_connector import types
from e2i_site.mlflow_connector.delivery import JOURNAL_TAG
from registry.mlflow_note import without_note
from registry.models import RegisteredModel, RegistryEntry
from registry.wanted import PROMOTION_TAG, STAGE_TAG, wanted_aliases, wanted_tags

CARRY_KIND = "registry.carry_stage"


@dataclass(frozen=True)
class Told:
    """What a webhook told: when which alias or tag of which subject got which value."""

    at: Mapping[tuple[str, str, Any], datetime]

    def date(self, events: Iterable[MlflowEvent]) -> None:
        """Fill in when the events happened, where it was told."""
        for event in events:
            if event.key:  # an alias or a tag, whose values are texts
                told = self.at.get((event.subject_id, event.key, event.after))
                event.happened_at = event.happened_at or told


NOTHING_TOLD = Told({})


class RegistryChanges:
    """Compares rows with MLflow's present values; every method is called before the row changes.

    The first mirroring of a thing is no change: it was like that before anybody looked.
    """

    def __init__(self, source: EventSource = EventSource.SYNC, told: Told = NOTHING_TOLD) -> None:
        self._source, self._told = source, told

    def note_model(self, row: RegisteredModel, found: types.RegisteredModel) -> None:
        """Aliases, tags, description, and whether the model is there."""
        if row.synced_at is None:
            return
        subject = Subject.model(row.name)
        if row.deleted_in_mlflow and row.created_in_mlflow != found.created_at:
            made = self._noticing(found.created_at)
            self._save([made.event(EventKind.CREATED, subject, after=None)])
            return
        noticing, dated = self._noticing(), self._noticing(found.updated_at)
        aliases = noticing.entries(subject, ALIASES, row.aliases, found.aliases)
        self._save(
            [
                *noticing.presence(subject, was=not row.deleted_in_mlflow, present=True),
                *noticing.sight(subject, was=row.hidden_since is not None, hidden=False),
                *dated.text(
                    EventKind.DESCRIPTION_CHANGED, subject, row.description, found.description
                ),
                *noticing.entries(subject, TAGS, row.tags, found.tags),
                *_without_carried(list(aliases), row.name, row.synced_at),
            ]
        )

    def note_version(
        self, row: RegistryEntry, found: types.ModelVersion, model_seen: datetime | None
    ) -> None:
        """Tags, description, and whether the version is there.

        `model_seen`: when its model was mirrored before.
        """
        if row.synced_at is None:
            return
        subject = Subject.version(row.model_id, row.model_version)
        if row.deleted_in_mlflow:  # MLflow cannot restore a version.
            self._created(subject, found)
            return
        noticing, dated = self._noticing(), self._noticing(found.updated_at)
        tags = list(noticing.entries(subject, TAGS, row.tags, found.tags))
        before, after = row.description, found.description
        if without_note(before) == without_note(after) and _carried(row.model_id, model_seen):
            before = after
        self._save(
            [
                *dated.text(EventKind.DESCRIPTION_CHANGED, subject, before, after),
                *_without_carried_tags(tags, row, model_seen),
            ]
        )

    def note_new_version(self, found: types.ModelVersion, model_seen: datetime | None) -> None:
        """A version of a model that was mirrored before; not one that E2I delivered."""
        if model_seen is not None and JOURNAL_TAG not in found.tags:
            self._created(Subject.version(found.name, found.version), found)

    def note_hidden(self, row: RegisteredModel) -> None:
        """MLflow shows it to others, but not to our account any more."""
        self._save(self._noticing().sight(Subject.model(row.name), was=False, hidden=True))

    def note_gone(self, row: RegisteredModel | RegistryEntry, *, became: str = "") -> None:
        """MLflow does not have it any more; `became` is the new name of a renamed model."""
        if row.synced_at is None:
            return
        if isinstance(row, RegistryEntry):
            subject = Subject.version(row.model_id, row.model_version)
            self._save(self._noticing().presence(subject, was=True, present=False))
        elif became:
            event = self._noticing().event(
                EventKind.RENAMED,
                Subject.model(row.name),
                key=became,
                before=row.name,
                after=became,
            )
            self._save([event])
        else:
            subject = Subject.model(row.name)
            self._save(self._noticing().presence(subject, was=True, present=False))

    def _created(self, subject: Subject, found: types.ModelVersion) -> None:
        made = self._noticing(found.created_at, found.user_id)
        after = {"run_id": found.run_id, "source": found.source}
        self._save([made.event(EventKind.CREATED, subject, after=after)])

    def _noticing(self, happened_at: datetime | None = None, user: str = "") -> Noticing:
        return Noticing(self._source, happened_at, user)

    def _save(self, events: Iterable[MlflowEvent]) -> None:
        listed = list(events)
        self._told.date(listed)
        MlflowEvent.objects.bulk_create(listed)


def _without_carried(
    events: list[MlflowEvent], model_name: str, since: datetime
) -> list[MlflowEvent]:
    """Without aliases that E2I carried to where they were decided to be."""
    if not events or not _carried(model_name, since):
        return events
    wanted = wanted_aliases(model_name)
    return [each for each in events if each.key not in wanted or wanted[each.key] != each.after]


def _without_carried_tags(
    events: list[MlflowEvent], row: RegistryEntry, since: datetime | None
) -> list[MlflowEvent]:
    if not {each.key for each in events} & {STAGE_TAG, PROMOTION_TAG}:
        return events
    if not _carried(row.model_id, since):
        return events
    wanted = wanted_tags(row)
    return [each for each in events if each.key not in wanted or wanted[each.key] != each.after]


def _carried(model_name: str, since: datetime | None) -> bool:
    """True when E2I may have carried something to MLflow after the model was last mirrored."""
    lately = Q(finished_at=None) | Q(finished_at__gte=since) if since else Q()
    jobs = Job.objects.filter(kind=CARRY_KIND, subject=f"model:{model_name}")
    return jobs.filter(lately).exists()
