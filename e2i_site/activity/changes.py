"""From two states of a thing in MLflow to the events between them. Nothing here is saved."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils import timezone

from e2i_site.activity.choices import EventKind, EventSource, SubjectKind
from e2i_site.activity.models import MlflowEvent

Kinds = tuple[EventKind, EventKind, EventKind]
ALIASES: Kinds = (EventKind.ALIAS_SET, EventKind.ALIAS_MOVED, EventKind.ALIAS_DELETED)
TAGS: Kinds = (EventKind.TAG_SET, EventKind.TAG_CHANGED, EventKind.TAG_DELETED)
METRICS: Kinds = (EventKind.METRIC_ADDED, EventKind.METRIC_CHANGED, EventKind.METRIC_DELETED)
PARAMS: Kinds = (EventKind.PARAM_ADDED, EventKind.PARAM_CHANGED, EventKind.PARAM_DELETED)


@dataclass(frozen=True)
class Subject:
    """What changed. `id` as in `MlflowEvent.subject_id`."""

    kind: SubjectKind
    id: str
    label: str
    model_name: str = ""

    @classmethod
    def model(cls, name: str) -> Subject:
        return cls(SubjectKind.MODEL, name, name, name)

    @classmethod
    def version(cls, name: str, number: int | str) -> Subject:
        return cls(SubjectKind.VERSION, f"{name}/{number}", f"{name} v{number}", name)

    @classmethod
    def run(cls, run_id: str, name: str) -> Subject:
        return cls(SubjectKind.RUN, run_id, (name or run_id)[:520])

    @classmethod
    def experiment(cls, experiment_id: str, name: str) -> Subject:
        return cls(SubjectKind.EXPERIMENT, experiment_id, (name or experiment_id)[:520])


@dataclass(frozen=True)
class Noticing:
    """How a change was noticed, and what MLflow tells of when it happened and who did it."""

    source: EventSource = EventSource.SYNC
    happened_at: datetime | None = None
    user: str = ""

    def event(
        self, kind: EventKind, subject: Subject, *, key: str = "", before: Any = None, after: Any
    ) -> MlflowEvent:
        """An unsaved event."""
        return MlflowEvent(
            kind=kind,
            subject_kind=subject.kind,
            subject_id=subject.id[:300],
            label=subject.label,
            model_name=subject.model_name,
            key=key[:520],
            before=before,
            after=after,
            noticed_at=timezone.now(),
            happened_at=self.happened_at,
            user=self.user[:256],
            source=self.source,
        )

    def entries(
        self, subject: Subject, kinds: Kinds, before: Mapping[str, Any], after: Mapping[str, Any]
    ) -> Iterator[MlflowEvent]:
        """One event for each key that was added, changed or deleted, in order of the keys."""
        added, changed, deleted = kinds
        for key in sorted(before.keys() | after.keys()):
            old, new = before.get(key), after.get(key)
            if key not in before:
                yield self.event(added, subject, key=key, after=new)
            elif key not in after:
                yield self.event(deleted, subject, key=key, before=old, after=None)
            elif old != new:
                yield self.event(changed, subject, key=key, before=old, after=new)

    def text(
        self, kind: EventKind, subject: Subject, before: str, after: str
    ) -> Iterator[MlflowEvent]:
        """An event if a name or description changed."""
        if before != after:
            yield self.event(kind, subject, before=before, after=after)

    def presence(self, subject: Subject, *, was: bool, present: bool) -> Iterator[MlflowEvent]:
        """An event if the thing was deleted or restored."""
        if was != present:
            kind = EventKind.RESTORED if present else EventKind.DELETED
            yield self.event(kind, subject, after=None)

    def sight(self, subject: Subject, *, was: bool, hidden: bool) -> Iterator[MlflowEvent]:
        """An event if MLflow began or ceased to hide the thing from E2I's account."""
        if was != hidden:
            kind = EventKind.HIDDEN if hidden else EventKind.SHOWN
            yield self.event(kind, subject, after=None)
