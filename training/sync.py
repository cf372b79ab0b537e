"""Mirror MLflow's experiments and runs. Rows that say the same already are not written."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from itertools import islice
from typing import Any

from django.db import transaction
from django.db.models import Q

from e2i_site.mlflow_connector import naming, types
from e2i_site.mlflow_connector.delivery import JOURNAL_TAG
from training.changes import RunChanges, note_experiment
from training.choices import RunRole, RunSource, RunStatus
from training.models import Experiment, MlflowExperiment, RunMetric, TrainingRun

CHUNK = 500
_STATUS = {
    "RUNNING": RunStatus.RUNNING,
    "SCHEDULED": RunStatus.SCHEDULED,
    "FINISHED": RunStatus.FINISHED,
    "FAILED": RunStatus.FAILED,
    "KILLED": RunStatus.KILLED,
}
_ROLES_BY_TAG = {
    "training": RunRole.TRAINING,
    "trial": RunRole.TRIAL,
    "candidate": RunRole.CANDIDATE,
    "baseline": RunRole.CANDIDATE,
    "selection": RunRole.SELECTION,
    "deployment": RunRole.DEPLOYMENT,
}
_ROLES_BY_AGENT = {
    "model_trainer": (RunRole.TRAINING, RunRole.TRIAL),
    "model_selection": (RunRole.SELECTION, RunRole.CANDIDATE),
    "model_deployer": (RunRole.DEPLOYMENT, RunRole.DEPLOYMENT),
}
_FRAMEWORKS = {"torch": "pytorch", "keras": "tensorflow"} | {
    name: name
    for name in (
        "sklearn",
        "xgboost",
        "lightgbm",
        "catboost",
        "tensorflow",
        "statsmodels",
        "econml",
    )
}


@dataclass
class Counts:
    """What happened to the rows of one kind. `deleted` ones are marked, never dropped."""

    seen: int = 0
    created: int = 0
    updated: int = 0
    deleted: int = 0
    unchanged: int = 0

    def as_dict(self) -> dict[str, int]:
        return asdict(self)


def mirror_experiments(found: Iterable[types.Experiment], known: set[str], counts: Counts) -> None:
    """Mirror all experiments.

    `known` are the ids of rows that were there before MLflow was asked: those that MLflow does
    not list any more are marked as deleted.
    """
    rows = {row.mlflow_id: row for row in MlflowExperiment.objects.all()}
    owners = dict(Experiment.objects.values_list("experiment_id", "pk"))
    listed = set()
    for each in found:
        listed.add(each.experiment_id)
        counts.seen += 1
        values = _experiment_values(each, owners)
        row = rows.get(each.experiment_id)
        if row is None:
            MlflowExperiment.objects.get_or_create(mlflow_id=each.experiment_id, defaults=values)
            counts.created += 1
        else:
            _save_changes(row, values, counts, changed_at=each.updated_at)
    for gone in known - listed:
        _save_changes(rows[gone], {"deleted": True}, counts, quiet=True)


def _experiment_values(each: types.Experiment, owners: dict[str, int]) -> dict[str, Any]:
    parts = naming.conforms(each.name)
    owner = owners.get(parts.experiment_id) if parts else None
    return {
        "name": each.name,
        "artifact_location": each.artifact_location,
        "deleted": each.lifecycle_stage == "deleted",
        "tags": each.tags,
        "experiment_id": owner,
        "agent_type": parts.agent_type if parts and owner else "",
        "created_at": each.created_at,
    }


@transaction.atomic
def _save_changes(
    row: MlflowExperiment,
    values: dict[str, Any],
    counts: Counts,
    *,
    quiet: bool = False,
    changed_at: datetime | None = None,
) -> None:
    changes = {name: value for name, value in values.items() if getattr(row, name) != value}
    if not changes:
        counts.unchanged += 0 if quiet else 1
        return
    note_experiment(row, values, changed_at)
    for name, value in changes.items():
        setattr(row, name, value)
    row.save(update_fields=[*changes, "synced_at"])
    if changes.get("deleted"):
        counts.deleted += 1
    else:
        counts.updated += 1


class RunMirror:
    """Mirrors runs, a few hundred at a time. One for one sync; counts each run once."""

    def __init__(self, counts: Counts) -> None:
        self.counts = counts
        self._seen: set[str] = set()
        self._experiments = {row.mlflow_id: row for row in MlflowExperiment.objects.all()}
        self._orphans: dict[str, str] = {}

    def mirror(self, runs: Iterable[types.Run]) -> Iterator[list[types.Run]]:
        """Mirror the runs; yields each chunk when its rows are written."""
        stream = iter(runs)
        while chunk := list(islice(stream, CHUNK)):
            fresh = [
                run
                for run in chunk
                if run.run_id not in self._seen and run.experiment_id in self._experiments
            ]
            self._seen.update(run.run_id for run in fresh)
            if fresh:
                self._write(fresh)
            yield chunk

    def mark_gone(self, run_ids: Iterable[str]) -> None:
        """Mark rows whose run MLflow does not have any more, not even as deleted."""
        gone = TrainingRun.objects.filter(mlflow_run_id__in=list(run_ids), deleted_in_mlflow=False)
        with transaction.atomic():
            others = RunChanges(self._experiments)
            others.note_gone(
                gone.only("mlflow_run_id", "run_name", "mlflow_experiment", "deleted_in_mlflow")
            )
            others.save()
            self.counts.deleted += gone.update(deleted_in_mlflow=True)

    def link_parents(self) -> None:
        """Point nested runs to their parents' rows, now that all are there."""
        parents = dict(
            TrainingRun.objects.filter(mlflow_run_id__in=set(self._orphans.values())).values_list(
                "mlflow_run_id", "pk"
            )
        )
        children = iter(self._orphans)
        while some := list(islice(children, CHUNK)):
            rows = TrainingRun.objects.filter(mlflow_run_id__in=some, parent=None)
            found = []
            for row in rows.only("pk", "mlflow_run_id"):
                row.parent_id = parents.get(self._orphans[str(row.mlflow_run_id)])
                if row.parent_id not in (None, row.pk):
                    found.append(row)
            TrainingRun.objects.bulk_update(found, ["parent"], batch_size=CHUNK)
        self._orphans.clear()

    @transaction.atomic
    def _write(self, runs: list[types.Run]) -> None:
        existing = _existing(runs)
        new, changed = [], []
        fields: set[str] = set()
        others = RunChanges(self._experiments)
        for run in runs:
            self.counts.seen += 1
            row = existing.get(run.run_id)
            values = self._values(run, row)
            if row is None:
                new.append(TrainingRun(**values))
                self.counts.created += 1
                self._note_parent(run)
                continue
            if row.parent_id is None:
                self._note_parent(run)
            changes = {name: value for name, value in values.items() if getattr(row, name) != value}
            if not changes:
                self.counts.unchanged += 1
                continue
            others.note(row, values)
            for name, value in changes.items():
                setattr(row, name, value)
            fields.update(changes)
            changed.append(row)
            if changes.get("deleted_in_mlflow"):
                self.counts.deleted += 1
            else:
                self.counts.updated += 1
        TrainingRun.objects.bulk_create(new, batch_size=CHUNK, ignore_conflicts=True)
        if changed:
            TrainingRun.objects.bulk_update(changed, sorted(fields), batch_size=100)
        others.save()
        if new or "metrics" in fields:
            index_metrics([str(run.run_id) for run in runs])

    def _note_parent(self, run: types.Run) -> None:
        if run.parent_run_id:
            self._orphans[run.run_id] = run.parent_run_id

    def _values(self, run: types.Run, row: TrainingRun | None) -> dict[str, Any]:
        """What the row should say. Of E2I's own runs only what MLflow alone decides."""
        values = _mirrored(run)
        if row is None or not _is_governed(row):
            values |= _derived(run, self._experiments[run.experiment_id])
        return values


def _existing(runs: list[types.Run]) -> dict[str, TrainingRun]:
    """Rows by MLflow run id; a row of ours that does not know its id yet is found by journal."""
    journals = {run.tags[JOURNAL_TAG]: run.run_id for run in runs if JOURNAL_TAG in run.tags}
    rows = TrainingRun.objects.defer("evaluation", "feature_names").filter(
        Q(mlflow_run_id__in=[run.run_id for run in runs])
        | Q(mlflow_run_id=None, journal_id__in=list(journals))
    )
    return {row.mlflow_run_id or journals[row.journal_id]: row for row in rows}


def _is_governed(row: TrainingRun) -> bool:
    """True for a row that E2I's own pipeline keeps: it is there before MLflow has the run."""
    return row.source == RunSource.E2I and bool(row.journal_id or row.job_id or row.request)


def _mirrored(run: types.Run) -> dict[str, Any]:
    """What MLflow alone decides, of every run."""
    return {
        "mlflow_run_id": run.run_id,
        "mlflow_experiment_id": run.experiment_id,
        "deleted_in_mlflow": run.is_deleted,
        "ended_in_mlflow": run.is_terminal,
        "user_name": (run.user_id or run.tags.get("mlflow.user", ""))[:200],
        "params": run.params,
        "metrics": {name: _plain(value) for name, value in run.metrics.items()},
        "tags": run.tags,
        "datasets": [
            {
                "name": each.name,
                "digest": each.digest,
                "source_type": each.source_type,
                "source": each.source,
                "context": each.context,
            }
            for each in run.datasets
        ],
        "model_outputs": list(run.model_outputs),
    }


def index_metrics(run_ids: list[str]) -> None:
    """Make the rows of `RunMetric` say what the runs' `metrics` say; only differences are written.

    Args:
        run_ids: MLflow's ids.
    """
    runs = TrainingRun.objects.filter(mlflow_run_id__in=run_ids).values_list("pk", "metrics")
    wanted = {
        (pk, key): float(value)
        for pk, metrics in runs
        for key, value in metrics.items()
        if value != "NaN"
    }
    there = RunMetric.objects.filter(run__mlflow_run_id__in=run_ids)
    known = {(pk, key): value for pk, key, value in there.values_list("run_id", "key", "value")}
    for pk, key in known.keys() - wanted.keys():
        RunMetric.objects.filter(run_id=pk, key=key).delete()
    RunMetric.objects.bulk_create(
        (
            RunMetric(run_id=pk, key=key, value=value)
            for (pk, key), value in wanted.items()
            if known.get((pk, key)) != value
        ),
        batch_size=CHUNK,
        update_conflicts=True,
        unique_fields=["run", "key"],
        update_fields=["value"],
    )


def _derived(run: types.Run, experiment: MlflowExperiment) -> dict[str, Any]:
    """The rest, as far as MLflow tells; what it does not tell stays empty."""
    ours = JOURNAL_TAG in run.tags
    return {
        "experiment_id": experiment.experiment_id,
        "run_name": run.name[:500],
        "status": _STATUS.get(run.status, RunStatus.RUNNING),
        "role": _own_role(run, experiment) if ours else _others_role(run),
        "source": RunSource.E2I if ours else RunSource.MLFLOW,
        "mlflow_available": run.is_terminal or not ours,
        "algorithm": _algorithm(run)[:60],
        "framework": _framework(run)[:40],
        "hyperparameters": _hyperparameters(run),
        "model_artifact_uri": f"models:/{run.model_outputs[-1]}" if run.model_outputs else "",
        "started_at": run.start_time,
        "completed_at": run.end_time,
        "duration_seconds": _duration(run),
    }


def _own_role(run: types.Run, experiment: MlflowExperiment) -> RunRole:
    if role := _ROLES_BY_TAG.get(run.tags.get("role", "")):
        return role
    top, nested = _ROLES_BY_AGENT.get(experiment.agent_type, (RunRole.OTHER, RunRole.OTHER))
    return nested if run.parent_run_id else top


def _others_role(run: types.Run) -> RunRole:
    """A nested run is a trial of something; a run that made a model is a training."""
    if run.parent_run_id:
        return RunRole.TRIAL
    made_model = run.model_outputs or "mlflow.log-model.history" in run.tags
    return RunRole.TRAINING if made_model else RunRole.OTHER


def _algorithm(run: types.Run) -> str:
    """As E2I logs it, else as MLflow's autologging does."""
    told = run.tags.get("algorithm") or run.params.get("algorithm_name")
    return told or run.tags.get("estimator_name", "")


def _framework(run: types.Run) -> str:
    if told := run.tags.get("framework") or run.params.get("framework"):
        return told
    return _FRAMEWORKS.get(run.tags.get("estimator_class", "").split(".")[0], "")


def _hyperparameters(run: types.Run) -> dict[str, str]:
    """Parameters with the prefix `hp_`, without it; all of them where none has it."""
    own = {
        name.removeprefix("hp_"): value
        for name, value in run.params.items()
        if name.startswith("hp_")
    }
    return own or run.params


def _duration(run: types.Run) -> float | None:
    if run.start_time is None or run.end_time is None or run.end_time < run.start_time:
        return None
    return (run.end_time - run.start_time).total_seconds()


def _plain(value: float) -> float | str:
    """A metric as JSON holds it: NaN and infinity are texts."""
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")
