"""What others changed in experiments and ended runs, noted while the mirror writes the rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from e2i_site.activity.changes import METRICS, PARAMS, TAGS, Noticing, Subject
from e2i_site.activity.choices import EventKind, SubjectKind
from e2i_site.activity.models import MlflowEvent
from training.models import MlflowExperiment, TrainingRun

#: On a training's run: the run of the selection that chose its algorithm.
SELECTION_TAG = "selection_run_id"
_NAME_TAG = "mlflow.runName"
#: MLflow restores an experiment's runs with it; the sweep that sees them follows soon.
_WITH_EXPERIMENT = timedelta(minutes=15)


def note_experiment(
    row: MlflowExperiment, values: Mapping[str, Any], changed_at: datetime | None
) -> None:
    """Record what differs between a row and MLflow's present values; call it before writing.

    MLflow's time of last change moves with exactly these changes, so it tells when.
    """
    subject = Subject.experiment(row.mlflow_id, row.name)
    noticing = Noticing(happened_at=changed_at)
    deleted = values.get("deleted", row.deleted)
    was, hidden = row.hidden_since, values.get("hidden_since", row.hidden_since)
    events = [
        # When somebody changed what we may see, MLflow does not tell.
        *Noticing().sight(subject, was=was is not None, hidden=hidden is not None),
        *noticing.text(EventKind.RENAMED, subject, row.name, values.get("name", row.name)),
        *noticing.presence(subject, was=not row.deleted, present=not deleted),
    ]
    MlflowEvent.objects.bulk_create(events)


class RunChanges:
    """Collects the events of one chunk of runs; `save` belongs to the mirror's transaction."""

    def __init__(self, experiments: Mapping[str, MlflowExperiment]) -> None:
        self._deleted = {key for key, row in experiments.items() if row.deleted}
        self._restored: set[str] | None = None
        self._events: list[MlflowEvent] = []

    def note(self, row: TrainingRun, values: Mapping[str, Any]) -> None:
        """Compare a row with MLflow's present `values`; call it before the row changes.

        A run that has not ended changes by itself. What E2I logs ends with the run's end, so what
        changes in one that MLflow had as ended is others' doing.
        """
        if not row.mlflow_run_id:
            return
        subject = _subject(row)
        self._note_presence(subject, row, bool(values["deleted_in_mlflow"]))
        if not row.ended_in_mlflow:
            return
        tags, new_tags = dict(row.tags), dict(values["tags"])
        before, after = tags.pop(_NAME_TAG, ""), new_tags.pop(_NAME_TAG, "")
        if row.selection_id and SELECTION_TAG not in tags:
            new_tags.pop(SELECTION_TAG, None)  # E2I adds it late when MLflow was away.
        noticing = Noticing()
        self._events += [
            *noticing.text(EventKind.RENAMED, subject, before, after),
            *noticing.entries(subject, TAGS, tags, new_tags),
            *noticing.entries(subject, PARAMS, row.params, values["params"]),
            *noticing.entries(subject, METRICS, row.metrics, values["metrics"]),
            *noticing.text(
                EventKind.STATUS_CHANGED, subject, row.status, values.get("status", row.status)
            ),
        ]

    def note_gone(self, rows: Iterable[TrainingRun]) -> None:
        """Rows whose run MLflow does not have any more."""
        for row in rows:
            self._note_presence(_subject(row), row, deleted=True)

    def save(self) -> None:
        """Store what was noted."""
        MlflowEvent.objects.bulk_create(self._events, batch_size=500)

    def _note_presence(self, subject: Subject, row: TrainingRun, deleted: bool) -> None:
        experiment = str(row.mlflow_experiment_id)
        if deleted == row.deleted_in_mlflow or experiment in self._deleted:
            return
        if not deleted and experiment in self._restored_lately():
            return
        self._events += Noticing().presence(
            subject, was=not row.deleted_in_mlflow, present=not deleted
        )

    def _restored_lately(self) -> set[str]:
        if self._restored is None:
            events = MlflowEvent.objects.filter(
                subject_kind=SubjectKind.EXPERIMENT,
                kind=EventKind.RESTORED,
                noticed_at__gte=timezone.now() - _WITH_EXPERIMENT,
            )
            self._restored = set(events.values_list("subject_id", flat=True))
        return self._restored


def _subject(row: TrainingRun) -> Subject:
    return Subject.run(str(row.mlflow_run_id), row.run_name)
