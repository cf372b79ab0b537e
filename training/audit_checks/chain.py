"""4.5, 5.1, 5.2: nothing claims more than MLflow has, and runs hang together as they should."""

from __future__ import annotations

from collections.abc import Iterator

from e2i_site.audit.choices import Priority
from e2i_site.audit.registry import CheckContext, SubjectOutcome, check
from e2i_site.mlflow_connector.naming import experiment_name
from e2i_site.mlflow_connector.types import Run
from training.audit_checks.rows import (
    HIDDEN,
    delivered_runs,
    finished_selections,
    hidden_runs,
    is_hidden,
    is_run_id,
    trainer_runs,
    with_mlflow,
)
from training.models import Selection, TrainingRun, Trial


@check(
    "4.5",
    phase=4,
    title="Nothing claims to be in MLflow that is not, and what waits is kept",
    remediation="Nothing to do while MLflow is away: it is delivered when MLflow answers. A run "
    "whose journal is gone will never arrive; train again.",
    priority=Priority.P0,
)
def nothing_is_simulated(context: CheckContext) -> Iterator[SubjectOutcome]:
    """A finished run or selection has ended in MLflow too, or its journal waits, said openly."""
    rows: list[TrainingRun | Selection] = [*trainer_runs(), *finished_selections()]
    for row in rows:
        if not row.mlflow_available:
            yield _waiting_outcome(context, row)
    delivered = [each for each in rows if each.mlflow_available]
    known = context.mlflow.runs(each.mlflow_run_id for each in delivered if each.mlflow_run_id)
    ids = {each.mlflow_run_id or "" for each in delivered}
    hidden = hidden_runs(ids - known.keys())
    for row in delivered:
        run = known.get(row.mlflow_run_id or "")
        if run is None and row.mlflow_run_id in hidden:
            yield context.inconclusive(row, HIDDEN)
        if run is None:
            continue  # 2.1, 2.4 and 3.1 speak of those
        if run.status == "FINISHED":
            yield context.passed(row)
        else:
            yield context.failed(row, f"It claims success, but in MLflow it is {run.status}.")


def _waiting_outcome(context: CheckContext, row: TrainingRun | Selection) -> SubjectOutcome:
    """Whether what MLflow does not have is kept; the row may have been settled meanwhile."""
    evidence = {"journal": row.journal_id}
    if row.journal_id and context.connector.has_journal(row.journal_id):
        if context.connector.journal_result(row.journal_id).done:
            return context.inconclusive(row, "It was delivered; its row is about to say so.")
        return context.failed(
            row,
            "Finished while MLflow was away; its journal waits to be delivered.",
            evidence=evidence,
            priority=Priority.P4,
        )
    message = "Finished, not in MLflow, and nothing waits to be delivered."
    return context.failed(row, message, evidence=evidence, priority=Priority.P1)


@check(
    "5.1",
    phase=5,
    title="Selection and training are linked by experiment and run ids",
    remediation="The link was lost or set by hand. Correct the run's row from its MLflow tags with "
    "manage.py sync_mlflow --full, or train again from the selection.",
    priority=Priority.P1,
)
def selection_leads_to_training(context: CheckContext) -> Iterator[SubjectOutcome]:
    """One experiment, the algorithm that was chosen, and the selection's run id on the run."""
    for row, run in with_mlflow(context, delivered_runs()):
        problems = []
        if row.experiment is None:
            problems.append("It belongs to no experiment.")
        elif run and run.tags.get("experiment_id") != row.experiment.experiment_id:
            problems.append("Its MLflow run names another experiment.")
        chosen = row.selection
        if chosen and chosen.experiment_id != row.experiment_id:
            problems.append("Its selection belongs to another experiment.")
        if (
            chosen
            and run
            and chosen.mlflow_run_id
            and run.tags.get("selection_run_id") != chosen.mlflow_run_id
        ):
            problems.append("Its MLflow run does not name the run of its selection.")
        evidence = {
            "experiment": row.experiment.experiment_id if row.experiment else None,
            "selection_run": chosen.mlflow_run_id if chosen else None,
            "training_run": row.mlflow_run_id,
        }
        if problems:
            yield context.failed(row, " ".join(problems), evidence=evidence)
        elif run is not None:
            yield context.passed(row, evidence=evidence)
        elif is_hidden(row):
            yield context.inconclusive(row, HIDDEN)


@check(
    "5.2",
    phase=5,
    title="Runs lie in the experiment of their agent, trials below their run",
    remediation="Move or restore the experiment in MLflow. Trials without their parent are noise; "
    "delete them there.",
    priority=Priority.P2,
)
def hierarchy_holds(context: CheckContext) -> Iterator[SubjectOutcome]:
    """e2i_model_trainer_{experiment_id}, and each trial's parent is an attempt of its training."""
    rows = list(delivered_runs())
    trials: dict[int, list[str]] = {}
    known = Trial.objects.filter(training_run__in=rows, mlflow_run_id__isnull=False)
    for owner, run_id in known.values_list("training_run_id", "mlflow_run_id"):
        trials.setdefault(owner, []).append(run_id or "")
    nested = context.mlflow.runs(
        each for some in trials.values() for each in some if is_run_id(each)
    )
    for row, run in with_mlflow(context, rows):
        if run is None and is_hidden(row):
            yield context.inconclusive(row, HIDDEN)
        if run is None or row.experiment is None:
            continue
        wanted = experiment_name("model_trainer", row.experiment.experiment_id)
        experiment = context.mlflow.experiments.get(run.experiment_id)
        strays = _strays(context, row, [nested[e] for e in trials.get(row.pk, ()) if e in nested])
        evidence = {
            "experiment": experiment and experiment.name,
            "trials": len(trials.get(row.pk, ())),
        }
        if experiment is None or experiment.name != wanted:
            message = f"It lies in {evidence['experiment']}, not in {wanted}."
            yield context.failed(row, message, evidence=evidence)
        elif strays:
            message = f"{len(strays)} of its trials hang below another run."
            yield context.failed(row, message, evidence={**evidence, "strays": strays})
        else:
            yield context.passed(row, evidence=evidence)


def _strays(context: CheckContext, row: TrainingRun, trials: list[Run]) -> list[str]:
    """Trials below a run of something else; those of an interrupted attempt stay below its run."""
    parents = {trial.parent_run_id for trial in trials} - {row.mlflow_run_id}
    attempts = {
        run_id
        for run_id, run in context.mlflow.runs(each for each in parents if each).items()
        if run.tags.get("e2i.training_run") == str(row.pk)
    }
    own = {row.mlflow_run_id, *attempts}
    return [trial.run_id for trial in trials if trial.parent_run_id not in own]
