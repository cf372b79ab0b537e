"""Asking for things: who may, and what is refused."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from e2i_site.core.errors import Conflict, InvalidInput, Refused
from e2i_site.jobs.models import Job
from e2i_site.trail.models import TrailEntry
from training import policies
from training.actions.create_experiment import create_experiment
from training.actions.import_dataset import import_dataset, import_shipped
from training.actions.request_selection import request_selection
from training.actions.request_training import request_training
from training.models import Dataset, Experiment, Selection, TrainingRun

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("role", ["viewer", "reviewer", "approver", "deployer", "auditor"])
def test_only_data_scientists_and_administrators_train(
    people: SimpleNamespace, role: str, experiment: Experiment
) -> None:
    user = getattr(people, role)
    for policy in (
        policies.may_import_dataset,
        policies.may_create_experiment,
        policies.may_request_selection,
        policies.may_request_training,
    ):
        assert policy(people.requester).allowed
        assert policy(people.administrator).allowed
        assert "requester" in policy(user).reason
        assert not policy(people.outsider).allowed
    with pytest.raises(Refused):
        request_training(actor=user, experiment=experiment, algorithm="XGBoost")
    with pytest.raises(Refused):
        request_selection(actor=user, experiment=experiment)
    with pytest.raises(Refused):
        create_experiment(actor=user, experiment_id="x", name="X", dataset=experiment.dataset)
    assert not TrainingRun.objects.exists()
    assert not Selection.objects.exists()
    assert not Job.objects.exists()


def test_the_same_file_is_imported_once(people: SimpleNamespace, csv: Path) -> None:
    def bring(name: str) -> Dataset:
        return import_dataset(actor=people.requester, name=name, path=csv, target="plan")

    first = bring("plans")
    assert bring("plans") == first
    assert bring("other").digest == first.digest
    assert TrailEntry.objects.filter(event="training.dataset.imported").count() == 2
    roles = {column["name"]: column["role"] for column in first.columns}
    assert roles == {"age": "feature", "income": "feature", "visits": "feature", "plan": "target"}


@pytest.mark.parametrize(
    "other", [{"group_columns": ("plan",)}, {"problem_type": "multiclass"}, {"time_column": "age"}]
)
def test_the_same_content_in_another_way_needs_another_name(
    people: SimpleNamespace, tmp_path: Path, other: dict[str, Any]
) -> None:
    path = tmp_path / "f.csv"
    rows = [f"{i},{'ab'[i % 2]},{i % 3}" for i in range(30)]
    path.write_text("\n".join(["age,plan,visits", *rows]))
    asked = {"actor": people.requester, "name": "v", "path": path, "target": "visits"}
    import_dataset(**asked, problem_type="regression")
    with pytest.raises(Conflict, match=r"regression, not grouped, not ordered in time\. Import"):
        import_dataset(**{**asked, "problem_type": "regression", **other})
    assert Dataset.objects.count() == 1


def test_data_that_is_shipped_has_its_provenance(people: SimpleNamespace) -> None:
    found = import_shipped(
        actor=people.requester,
        name="randhie",
        location="randhie",
        target="any_visit = mdvis > 0",
    )
    assert (found.row_count, found.kind) == (20_190, "bundled")
    assert "RAND" in found.provenance
    with pytest.raises(InvalidInput, match="not known"):
        import_shipped(actor=people.requester, name="x", location="nothing", target="y")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"name": "two words"}, "cannot name a data set"),
        ({"problem_type": "ranking"}, "unknown"),
        ({"target": "nothing"}, "no column 'nothing'"),
        ({"path": Path("/nowhere.csv")}, "no such file"),
        ({"time_column": "plan"}, "Time column 'plan'"),
    ],
)
def test_bad_imports_leave_nothing(
    people: SimpleNamespace, csv: Path, change: dict[str, Any], words: str
) -> None:
    asked = {"name": "d", "path": csv, "target": "any = visits > 0", **change}
    with pytest.raises(InvalidInput, match=words):
        import_dataset(actor=people.requester, **asked)
    assert not Dataset.objects.exists()


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"experiment_id": "has space"}, InvalidInput, "letters, digits"),
        ({"experiment_id": "e2i_x"}, InvalidInput, "Leave out"),
        ({"name": ""}, InvalidInput, "name"),
        ({"criteria": {"minimum_auc": 0.3}}, InvalidInput, "minimum_auc"),
        ({"criteria": {"minimum_luck": 1}}, InvalidInput, "no success criterion"),
        ({"criteria": {"minimum_r2": 0.5}}, InvalidInput, "not measured for a binary"),
    ],
)
def test_bad_experiments_are_refused(
    people: SimpleNamespace,
    experiment: Experiment,
    change: dict[str, Any],
    error: type[Exception],
    words: str,
) -> None:
    asked = {"experiment_id": "fine", "name": "Fine", "dataset": experiment.dataset, **change}
    with pytest.raises(error, match=words):
        create_experiment(actor=people.requester, **asked)
    assert Experiment.objects.count() == 1


def test_an_experiment_id_is_taken_once(people: SimpleNamespace, experiment: Experiment) -> None:
    with pytest.raises(Conflict):
        create_experiment(
            actor=people.requester,
            experiment_id=experiment.experiment_id,
            name="Again",
            dataset=experiment.dataset,
        )


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({}, "run one first"),
        ({"algorithm": "Deep"}, "'Deep' is unknown"),
        ({"algorithm": "Ridge"}, "does not solve binary"),
        ({"algorithm": "XGBoost", "trials": -1}, "trials are possible"),
        ({"algorithm": "XGBoost", "timeout_seconds": 0}, "time limit"),
        ({"algorithm": "XGBoost", "folds": 1}, "folds are possible"),
        ({"algorithm": "XGBoost", "balancing": "magic"}, "'magic' is unknown"),
    ],
)
def test_bad_trainings_are_refused(
    people: SimpleNamespace, experiment: Experiment, asked: dict[str, Any], words: str
) -> None:
    with pytest.raises(InvalidInput, match=words):
        request_training(actor=people.requester, experiment=experiment, **asked)
    assert not TrainingRun.objects.exists()
    assert not Job.objects.exists()


@pytest.mark.parametrize(
    "constraints",
    [
        {"speed": 1},
        {"max_latency_ms": -1},
        {"max_memory_gb": "much"},
        {"minimum_interpretability": 1.1},
        {"exclude": ["Deep"]},
    ],
)
def test_bad_constraints_are_refused(
    people: SimpleNamespace, experiment: Experiment, constraints: dict[str, Any]
) -> None:
    with pytest.raises(InvalidInput):
        request_selection(actor=people.requester, experiment=experiment, constraints=constraints)
    assert not Selection.objects.exists()


def test_no_interpretability_at_all_may_be_asked_for(
    people: SimpleNamespace, experiment: Experiment
) -> None:
    limits = {"minimum_interpretability": 0}
    found = request_selection(actor=people.requester, experiment=experiment, constraints=limits)
    assert found.constraints["minimum_interpretability"] == 0


def test_the_operator_needs_no_role(experiment: Experiment) -> None:
    made = create_experiment(
        actor=None, experiment_id="operator", name="O", dataset=experiment.dataset
    )
    assert made.created_by is None
    assert request_training(actor=None, experiment=made, algorithm="XGBoost").created_by is None


def command(name: str, *arguments: str) -> Any:
    out = StringIO()
    call_command(name, *arguments, "--json", stdout=out, stderr=StringIO())
    return json.loads(out.getvalue())


def test_the_import_command_prints_one_document(csv: Path) -> None:
    found = command("import_dataset", "visits", str(csv), "--target", "any = visits > 0")
    assert (found["rows"], found["problem_type"]) == (400, "binary")
    assert found["digest"] == Dataset.objects.get().digest


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("train", "nothing"), "no experiment 'nothing'"),
        (("select", "nothing", "--user", "nobody"), "no user 'nobody'"),
        (("import_dataset", "x", "/nowhere.csv", "--target", "y"), "no such file"),
    ],
)
def test_wrong_use_of_commands_has_status_2(arguments: tuple[str, ...], words: str) -> None:
    with pytest.raises(CommandError, match=words) as caught:
        command(*arguments)
    assert caught.value.returncode == 2


def test_a_refused_command_has_status_1(people: SimpleNamespace, experiment: Experiment) -> None:
    with pytest.raises(CommandError) as caught:
        command("train", experiment.experiment_id, "--algorithm", "XGBoost", "--user", "viewer")
    assert caught.value.returncode == 1
