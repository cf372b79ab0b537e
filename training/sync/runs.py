"""Mirror MLflow's runs: find out what is new or changed by a digest, and write only that."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeVar

from django.db import IntegrityError, models, transaction

from e2i_site.mlflow_connector.delivery import JOURNAL_TAG
from e2i_site.mlflow_connector.sources import RunRecord
from training.changes import RunChanges
from training.choices import RunSource
from training.models import MlflowExperiment, TrainingRun
from training.sync import metric_rows
from training.sync.counts import Counts
from training.sync.derive import derived, mirrored, salt
from training.sync.insert import Encoded, encode, insert_encoded, joined, reserve
from training.sync.names import Name, names_of, remember

CHUNK = 2000
UPDATE_BATCH = 100
Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class _Known:
    """What is read of a row to see whether it is as MLflow says."""

    mirror_hash: str
    parent_id: int | None


@dataclass(frozen=True, slots=True)
class _New:
    """A row to insert, without its key and its parent's, as the database takes it."""

    names: tuple[str, ...]
    values: Encoded
    metrics: metric_rows.Encoded


class RunMirror:
    """Mirrors runs, some at a time. One for one sync.

    Args:
        new: most of the runs are not here yet, so they are not looked for first.
        verify: compare the rows themselves, not only the digest of what they were made of.
        once: pass over runs that this mirror had before.
    """

    def __init__(
        self, counts: Counts, *, new: bool = False, verify: bool = False, once: bool = False
    ) -> None:
        self.counts = counts
        self._are_new = new
        self._verify = verify
        self._seen: set[str] | None = set() if once else None
        self._experiments = {row.mlflow_id: row for row in MlflowExperiment.objects.all()}
        self._salts = {key: salt(row) for key, row in self._experiments.items()}
        self._orphans: dict[str, str] = {}
        self._names: set[Name] = set()
        self._prepared: dict[str, _New] = {}

    def mirror(self, records: Iterable[RunRecord]) -> None:
        """Write what is new or changed, each chunk in a transaction."""
        for chunk in _chunks(self._fresh(records), CHUNK):
            try:
                self._write(chunk, look=not self._are_new)
            except IntegrityError:
                # E2I itself made one of the rows meanwhile: now it is there to be found.
                self._write(chunk, look=True)

    def has(self, run_id: str) -> bool:
        """True when this mirror had the run; it must have been made with `once`."""
        return self._seen is not None and run_id in self._seen

    def mark_gone(self, run_ids: Iterable[str]) -> None:
        """Mark rows whose run MLflow does not have any more, not even as deleted."""
        gone = TrainingRun.objects.filter(mlflow_run_id__in=list(run_ids), deleted_in_mlflow=False)
        with transaction.atomic():
            others = RunChanges(self._experiments)
            others.note_gone(
                gone.only("mlflow_run_id", "run_name", "mlflow_experiment", "deleted_in_mlflow")
            )
            others.save()
            self.counts.deleted += gone.update(deleted_in_mlflow=True, mirror_hash="")

    def link_parents(self) -> None:
        """Point nested runs to their parents' rows where the parent came later."""
        for some in _chunks(iter(self._orphans), CHUNK):
            _link({child: self._orphans[child] for child in some})
        self._orphans.clear()

    def _fresh(self, records: Iterable[RunRecord]) -> Iterator[RunRecord]:
        for record in records:
            run = record.run
            if run.experiment_id not in self._experiments:
                continue
            if self._seen is not None:
                if run.run_id in self._seen:
                    continue
                self._seen.add(run.run_id)
            yield record

    def _write(self, records: Sequence[RunRecord], *, look: bool) -> None:
        counts = Counts(seen=len(records))
        with transaction.atomic():
            known = _known(records) if look else {}
            new, changed = [], []
            for record in records:
                row = known.get(record.run.run_id)
                if row is None:
                    new.append(record)
                elif self._verify or row.mirror_hash != self._hash(record):
                    changed.append(record)
                else:
                    counts.unchanged += 1
            ours = _by_journal(new)
            changed += [record for record in new if record.run.run_id in ours]
            new = [record for record in new if record.run.run_id not in ours]
            written = [*self._update(changed, ours, counts), *new]
            self._insert(new, counts)
            self._link_known(records, known)
            names = names_of(written) - self._names
            if names:
                remember(names)
        self._names |= names  # only now is it certain that they are stored
        for name, number in counts.as_dict().items():
            setattr(self.counts, name, getattr(self.counts, name) + number)

    def _hash(self, record: RunRecord) -> str:
        return record.digest + self._salts[record.run.experiment_id]

    def prepare(self, records: Iterable[RunRecord]) -> None:
        """Make the rows of runs that are probably new. In any thread: no database is asked."""
        for record in records:
            if record.run.experiment_id in self._experiments:
                self._prepared[record.run.run_id] = self._new(record)

    def _insert(self, records: list[RunRecord], counts: Counts) -> None:
        """Insert children beside their parents: the database looks for these only at the end."""
        if not records:
            return
        counts.created += len(records)
        ids = [each.run.run_id for each in records]
        pks = dict(zip(ids, reserve(TrainingRun, len(ids)), strict=True))
        parents = _parents(records) | pks
        rows, metrics = [], {}
        for record in records:
            run_id, parent_id = record.run.run_id, record.run.parent_run_id
            parent = parents.get(parent_id or "")
            if parent_id and parent is None:
                self._orphans[run_id] = parent_id
            new = self._prepared.pop(run_id, None) or self._new(record)
            pk = pks[run_id]
            rows.append(joined(encode((pk, None if parent == pk else parent)), new.values))
            metrics[pk] = new.metrics
        insert_encoded(TrainingRun, ("id", "parent_id", *new.names), rows)
        metric_rows.add(metrics)

    def _new(self, record: RunRecord) -> _New:
        """A new row; JSON that is there as text need not be made again."""
        run = record.run
        values = mirrored(record) | derived(run, self._experiments[run.experiment_id])
        if values["hyperparameters"] is run.params:
            values["hyperparameters"] = record.params_json
        values["params"] = record.params_json
        values["metrics"] = record.metrics_json
        values["tags"] = record.tags_json
        values["mirror_hash"] = self._hash(record)
        return _New(tuple(values), encode(values.values()), metric_rows.encode(record.metrics))

    def _update(
        self, records: list[RunRecord], ours: dict[str, int], counts: Counts
    ) -> list[RunRecord]:
        """Compare whole rows, and write what differs; returns the records of those."""
        if not records:
            return []
        rows = _rows(records, ours)
        others = RunChanges(self._experiments)
        changed, indexed, written = [], [], []
        fields: set[str] = set()
        for record in records:
            row = rows[record.run.run_id]
            values = self._values(row, record)
            changes = {name: value for name, value in values.items() if getattr(row, name) != value}
            if changes.keys() <= {"mirror_hash"}:
                counts.unchanged += 1
            elif changes.get("deleted_in_mlflow"):
                counts.deleted += 1
            else:
                counts.updated += 1
            if not changes:
                continue
            others.note(row, values)
            for name, value in changes.items():
                setattr(row, name, value)
            fields.update(changes)
            changed.append(row)
            written.append(record)
            if "metrics" in changes:
                indexed.append(row.pk)
        if changed:
            TrainingRun.objects.bulk_update(changed, sorted(fields), batch_size=UPDATE_BATCH)
        others.save()
        if indexed:
            metric_rows.update(indexed)
        return written

    def _values(self, row: TrainingRun, record: RunRecord) -> dict[str, Any]:
        """What the row should say. Of E2I's own runs only what MLflow alone decides."""
        values = mirrored(record) | {"mirror_hash": self._hash(record)}
        if not _is_governed(row):
            values |= derived(record.run, self._experiments[record.run.experiment_id])
        return values

    def _link_known(self, records: Sequence[RunRecord], known: dict[str, _Known]) -> None:
        """Rows that were there may have waited for their parent."""
        children = {}
        for record in records:
            row = known.get(record.run.run_id)
            if row and row.parent_id is None and record.run.parent_run_id:
                children[record.run.run_id] = record.run.parent_run_id
        self._orphans |= _link(children)


def _chunks(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    stream = iter(items)
    while chunk := list(islice(stream, size)):
        yield chunk


def _known(records: Sequence[RunRecord]) -> dict[str, _Known]:
    rows = TrainingRun.objects.filter(mlflow_run_id__in=[each.run.run_id for each in records])
    found = rows.values_list("mlflow_run_id", "mirror_hash", "parent_id")
    return {str(run_id): _Known(mirror_hash, parent) for run_id, mirror_hash, parent in found}


def _by_journal(records: list[RunRecord]) -> dict[str, int]:
    """Rows of ours that do not know their run's id yet: {run id: primary key}."""
    journals = {
        each.run.tags[JOURNAL_TAG]: each.run.run_id
        for each in records
        if JOURNAL_TAG in each.run.tags
    }
    if not journals:
        return {}
    rows = TrainingRun.objects.filter(mlflow_run_id=None, journal_id__in=list(journals))
    return {journals[journal]: pk for pk, journal in rows.values_list("pk", "journal_id")}


def _rows(records: list[RunRecord], ours: dict[str, int]) -> dict[str, TrainingRun]:
    ids = [each.run.run_id for each in records]
    rows = TrainingRun.objects.defer("evaluation", "feature_names").filter(
        models.Q(mlflow_run_id__in=ids) | models.Q(pk__in=list(ours.values()))
    )
    by_pk = {pk: run_id for run_id, pk in ours.items()}
    return {by_pk.get(row.pk) or str(row.mlflow_run_id): row for row in rows}


def _parents(records: list[RunRecord]) -> dict[str, int]:
    """Primary keys of the rows of parents that are there."""
    wanted = {each.run.parent_run_id for each in records if each.run.parent_run_id}
    if not wanted:
        return {}
    rows = TrainingRun.objects.filter(mlflow_run_id__in=wanted)
    return {str(run_id): pk for run_id, pk in rows.values_list("mlflow_run_id", "pk")}


def _link(children: dict[str, str]) -> dict[str, str]:
    """Point the children's rows to their parents' rows; returns those whose parent is missing."""
    if not children:
        return {}
    found = TrainingRun.objects.filter(mlflow_run_id__in=set(children.values()))
    parents = dict(found.values_list("mlflow_run_id", "pk"))
    rows = TrainingRun.objects.filter(mlflow_run_id__in=list(children), parent=None)
    linked = []
    for row in rows.only("pk", "mlflow_run_id"):
        row.parent_id = parents.get(children[str(row.mlflow_run_id)])
        if row.parent_id not in (None, row.pk):
            linked.append(row)
    TrainingRun.objects.bulk_update(linked, ["parent"], batch_size=UPDATE_BATCH)
    return {child: parent for child, parent in children.items() if parent not in parents}


def _is_governed(row: TrainingRun) -> bool:
    """True for a row that E2I's own pipeline keeps: it is there before MLflow has the run."""
    return row.source == RunSource.E2I and bool(row.journal_id or row.job_id or row.request)
