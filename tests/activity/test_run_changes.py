"""What others change in experiments and ended runs becomes events."""

from __future__ import annotations

from typing import Any

from e2i_site.activity.models import MlflowEvent
from tests.activity.conftest import Others
from training.changes import RunChanges
from training.models import TrainingRun
from training.sync import Counts, RunMirror


def events() -> list[tuple[Any, ...]]:
    """(kind, key, before, after), oldest first."""
    fields = ("kind", "key", "before", "after")
    return list(MlflowEvent.objects.order_by("id").values_list(*fields))


def test_what_a_run_does_before_its_end_is_no_change(others: Others) -> None:
    run_id = others.run(ended=False)
    others.mirror_runs()
    others.metric(run_id, "auc", 0.7)
    others.mirror_runs()
    others.metric(run_id, "auc", 0.8, step=1)
    others.post("runs/update", run_id=run_id, status="FINISHED", end_time=1_700_000_000_000)
    others.mirror_runs()
    assert events() == []
    assert TrainingRun.objects.get(mlflow_run_id=run_id).ended_in_mlflow


def test_late_metrics_params_tags_and_names(others: Others) -> None:
    run_id = others.run(team="a")
    others.mirror_runs()
    others.metric(run_id, "auc", 0.7)
    others.mirror_runs()
    others.metric(run_id, "auc", 0.9, step=1)
    others.post("runs/log-parameter", run_id=run_id, key="lr", value="0.1")
    others.post("runs/set-tag", run_id=run_id, key="team", value="b")
    others.post("runs/set-tag", run_id=run_id, key="note", value="späť")
    others.post("runs/update", run_id=run_id, run_name="second name", status="FAILED")
    others.mirror_runs()
    others.post("runs/delete-tag", run_id=run_id, key="note")
    others.mirror_runs()
    others.mirror_runs()
    assert events() == [
        ("metric_added", "auc", None, 0.7),
        ("renamed", "", "first name", "second name"),
        ("tag_set", "note", None, "späť"),
        ("tag_changed", "team", "a", "b"),
        ("param_added", "lr", None, "0.1"),
        ("metric_changed", "auc", 0.7, 0.9),
        ("status_changed", "", "finished", "failed"),
        ("tag_deleted", "note", "späť", None),
    ]
    assert {event.subject_id for event in MlflowEvent.objects.all()} == {run_id}


def test_deleted_and_restored_runs(others: Others) -> None:
    run_id = others.run()
    others.mirror_runs()
    others.post("runs/delete", run_id=run_id)
    others.mirror_runs()
    others.post("runs/restore", run_id=run_id)
    others.mirror_runs()
    RunMirror(Counts()).mark_gone([run_id])
    assert [kind for kind, *_ in events()] == ["deleted", "restored", "deleted"]


def test_an_experiment_takes_its_runs_along_without_an_event_for_each(others: Others) -> None:
    others.run()
    others.run()
    others.mirror_runs()
    others.post("experiments/delete", experiment_id=others.experiment_id)
    others.mirror_runs()
    assert TrainingRun.objects.filter(deleted_in_mlflow=True).count() == 2
    others.post("experiments/restore", experiment_id=others.experiment_id)
    new = f"{others.name}-renamed"
    others.post("experiments/update", experiment_id=others.experiment_id, new_name=new)
    others.mirror_runs()
    assert not TrainingRun.objects.filter(deleted_in_mlflow=True).exists()
    assert events() == [
        ("deleted", "", None, None),
        ("renamed", "", others.name, new),
        ("restored", "", None, None),
    ]
    assert all(event.happened_at for event in MlflowEvent.objects.all())


def test_e2i_adding_the_selection_late_is_no_change(others: Others) -> None:
    run_id = others.run()
    others.mirror_runs()
    row = TrainingRun.objects.get(mlflow_run_id=run_id)
    values = {"deleted_in_mlflow": False, "params": {}, "metrics": {}}
    for selection, expected in ((None, 1), (7, 0)):
        row.selection_id = selection
        MlflowEvent.objects.all().delete()
        changes = RunChanges({})
        changes.note(row, {**values, "tags": {**row.tags, "selection_run_id": "abc"}})
        changes.save()
        assert MlflowEvent.objects.count() == expected
