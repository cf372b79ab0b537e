"""2.1, 2.4, 2.6: what a trainer run left in MLflow, its ids, and the order of its nodes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise

from django.db.models import Prefetch

from e2i_site.audit.choices import Priority
from e2i_site.audit.registry import CheckContext, SubjectOutcome, check
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
from training.choices import NodeOutcome
from training.models import Candidate, PipelineNode, Selection, TrainingRun, Trial

PARAMS = ("algorithm_name", "problem_type", "framework")
TAGS = ("algorithm", "problem_type", "framework", "source", "experiment_id")
SPLITS = ("train", "validation", "test")


@check(
    "2.1",
    phase=2,
    title="Every trainer run has its parameters, metrics, tags, data set and model in MLflow",
    remediation="Restore the run in MLflow if it was deleted. If parts are missing, see whether "
    "its journal still waits to be delivered; what was never logged needs a new training.",
    priority=Priority.P1,
)
def runs_are_complete(context: CheckContext) -> Iterator[SubjectOutcome]:
    """`hp_` parameters, metrics of each split, the tags, the data set and a logged model."""
    for row, run in with_mlflow(context, delivered_runs()):
        if run is None and is_hidden(row):
            yield context.inconclusive(row, HIDDEN)
        elif run is None:
            yield context.failed(row, f"MLflow does not know run {row.mlflow_run_id}.")
        elif run.is_deleted:
            yield context.failed(row, "The run was deleted in MLflow.")
        elif missing := list(_missing(row, run)):
            yield context.failed(
                row,
                f"Missing in MLflow: {', '.join(missing)}.",
                evidence={"missing": missing},
                priority=Priority.P2,
            )
        else:
            evidence = {
                "params": len(run.params),
                "metrics": len(run.metrics),
                "model": run.model_outputs,
            }
            yield context.passed(row, evidence=evidence)


def _missing(row: TrainingRun, run: Run) -> Iterator[str]:
    wanted = [*PARAMS, *(f"hp_{name}" for name in row.hyperparameters)]
    yield from (f"parameter {name}" for name in wanted if name not in run.params)
    if not row.hyperparameters:
        yield "any hyperparameter"
    yield from (f"tag {name}" for name in TAGS if not run.tags.get(name))
    for split in SPLITS:
        if not any(name.startswith(f"{split}_") for name in run.metrics):
            yield f"metrics of the {split} split"
    if not run.datasets:
        yield "data set"
    if not run.model_outputs:
        yield "model"


@check(
    "2.4",
    phase=2,
    title="Every MLflow id in the database is one that MLflow gave",
    remediation="An id that MLflow does not know was invented, or its run was purged. Do not "
    "promote what hangs on it; find what wrote the row, and train again.",
    priority=Priority.P0,
)
def no_invented_ids(context: CheckContext) -> Iterator[SubjectOutcome]:
    """Runs, their trials, selections and their candidates: the form is right, the run exists."""
    ids: dict[TrainingRun | Selection, list[str]] = defaultdict(list)
    rows = {each.pk: each for each in trainer_runs().filter(mlflow_run_id__isnull=False)}
    for row in rows.values():
        ids[row].append(row.mlflow_run_id or "")
    trials = Trial.objects.filter(training_run__in=rows, mlflow_run_id__isnull=False)
    for owner, run_id in trials.values_list("training_run_id", "mlflow_run_id"):
        ids[rows[owner]].append(run_id or "")
    selections = {
        each.pk: each for each in finished_selections().filter(mlflow_run_id__isnull=False)
    }
    for selection in selections.values():
        ids[selection].append(selection.mlflow_run_id or "")
    candidates = Candidate.objects.filter(selection__in=selections, mlflow_run_id__isnull=False)
    for owner, run_id in candidates.values_list("selection_id", "mlflow_run_id"):
        ids[selections[owner]].append(run_id or "")
    known = context.mlflow.runs(each for some in ids.values() for each in some if is_run_id(each))
    for subject, mine in ids.items():
        if malformed := [each for each in mine if not is_run_id(each)]:
            message = "Not an id that MLflow gives: " + ", ".join(malformed[:5])
            yield context.failed(subject, message, evidence={"ids": malformed})
        elif (unknown := [each for each in mine if each not in known]) and (
            hidden_runs(unknown) == set(unknown)
        ):
            yield context.inconclusive(subject, HIDDEN)
        elif unknown:
            message = f"MLflow does not know {len(unknown)} of its {len(mine)} run ids."
            yield context.failed(subject, message, evidence={"unknown": unknown[:50]})
        else:
            yield context.passed(subject, evidence={"ids": len(mine)})


@check(
    "2.6",
    phase=2,
    title="The trainer's nodes ran in their order",
    remediation="The run skipped or repeated a step, so its numbers are not what they claim to be. "
    "Train again and do not promote its versions.",
    priority=Priority.P1,
)
def trainer_nodes_in_order(context: CheckContext) -> Iterator[SubjectOutcome]:
    """evaluate_model before log_to_mlflow before save_checkpoint, and all before them."""
    from training.pipeline.trainer.run import ORDER

    nodes = PipelineNode.objects.order_by("attempt", "position")
    for row in trainer_runs().prefetch_related(Prefetch("nodes", nodes)):
        yield order_outcome(context, row, list(row.nodes.all()), ORDER)


def order_outcome(
    context: CheckContext,
    subject: TrainingRun | Selection,
    nodes: Sequence[PipelineNode],
    order: Sequence[str],
) -> SubjectOutcome:
    """Whether the nodes of the last attempt are those of `order`, one after the other."""
    last = [each for each in nodes if each.attempt == nodes[-1].attempt] if nodes else []
    names = [each.name for each in last]
    evidence = {"nodes": names, "attempts": len({each.attempt for each in nodes})}
    overlap = any(
        before.ended_at is None or after.started_at < before.ended_at
        for before, after in pairwise(last)
    )
    unfinished = [each.name for each in last if each.outcome != NodeOutcome.SUCCEEDED]
    if names != list(order):
        return context.failed(subject, "Its nodes are not those of the plan.", evidence=evidence)
    if unfinished:
        message = f"It is finished, but these nodes are not: {', '.join(unfinished)}."
        return context.failed(subject, message, evidence=evidence)
    if overlap:
        message = "A node began before the one before it had ended."
        return context.failed(subject, message, evidence=evidence)
    return context.passed(subject, evidence=evidence)
