"""3.1, 3.2: selections in MLflow, their benchmarks, their rationale, and their use of history."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from django.db.models import Prefetch

from e2i_site.audit.choices import Priority
from e2i_site.audit.registry import CheckContext, SubjectOutcome, check
from e2i_site.mlflow_connector.naming import experiment_name
from training.audit_checks.rows import HIDDEN, finished_selections, hidden_runs
from training.audit_checks.runs import order_outcome
from training.choices import CandidateOutcome, CandidateRole, RunRole, RunStatus
from training.models import Candidate, PipelineNode, Selection, TrainingRun

FIGURES = ("benchmark_mean", "benchmark_std", "benchmark_score", "combined_score")


@check(
    "3.1",
    phase=3,
    title="Every selection has its run in the experiment of its name, and ran in order",
    remediation="Restore the run or its experiment in MLflow. If it was never delivered, its "
    "journal waits; otherwise run the selection again.",
    priority=Priority.P1,
)
def selections_exist(context: CheckContext) -> Iterator[SubjectOutcome]:
    """MLflow has the run, not deleted, in e2i_model_selection_{experiment_id}."""
    from training.pipeline.selector.run import ORDER

    nodes = PipelineNode.objects.order_by("attempt", "position")
    rows = finished_selections().filter(mlflow_available=True)
    selections = list(rows.prefetch_related(Prefetch("nodes", nodes)))
    runs = context.mlflow.runs(each.mlflow_run_id for each in selections if each.mlflow_run_id)
    hidden = hidden_runs({each.mlflow_run_id or "" for each in selections} - runs.keys())
    for selection in selections:
        run = runs.get(selection.mlflow_run_id or "")
        experiment = context.mlflow.experiments.get(run.experiment_id) if run else None
        wanted = experiment_name("model_selection", selection.experiment.experiment_id)
        if run is None and selection.mlflow_run_id in hidden:
            yield context.inconclusive(selection, HIDDEN)
        elif run is None:
            yield context.failed(selection, f"MLflow does not know run {selection.mlflow_run_id}.")
        elif run.is_deleted or experiment is None or experiment.lifecycle_stage == "deleted":
            yield context.failed(selection, "Its run or its experiment was deleted in MLflow.")
        elif experiment.name != wanted:
            message = f"Its run is in {experiment.name}, not in {wanted}."
            yield context.failed(selection, message, priority=Priority.P2)
        else:
            yield order_outcome(context, selection, list(selection.nodes.all()), ORDER)


@check(
    "3.2",
    phase=3,
    title="Every candidate has its figures or its error, and the choice its rationale",
    remediation="A choice without figures cannot be reviewed. Run the selection again.",
    priority=Priority.P2,
)
def benchmarks_are_stored(context: CheckContext) -> Iterator[SubjectOutcome]:
    """Measured candidates have all figures, failed ones an error and none; the best one won."""
    for selection in finished_selections().prefetch_related("candidates"):
        candidates = [
            each for each in selection.candidates.all() if each.role == CandidateRole.CANDIDATE
        ]
        problems = [problem for each in candidates for problem in _figure_problems(each)]
        problems += _choice_problems(selection, candidates)
        evidence = {each.algorithm: each.combined_score for each in candidates}
        if problems:
            yield context.failed(selection, " ".join(problems), evidence=evidence)
        else:
            yield context.passed(selection, evidence=evidence)


def _figure_problems(candidate: Candidate) -> Iterator[str]:
    given = [name for name in FIGURES if getattr(candidate, name) is not None]
    if candidate.outcome in (CandidateOutcome.BENCHMARKED, CandidateOutcome.SELECTED):
        if missing := [name for name in FIGURES if name not in given]:
            yield f"{candidate.algorithm} lacks {', '.join(missing)}."
        if not candidate.fold_scores:
            yield f"{candidate.algorithm} has no scores of folds."
    elif candidate.outcome == CandidateOutcome.FAILED:
        if not candidate.reasons:
            yield f"{candidate.algorithm} failed without a reason."
        if "benchmark_score" in given:
            yield f"{candidate.algorithm} failed and has a score."


def _choice_problems(selection: Selection, candidates: list[Candidate]) -> Iterator[str]:
    if not selection.rationale:
        yield "It has no rationale."
    scores = {
        each.algorithm: each.combined_score
        for each in candidates
        if each.combined_score is not None and each.outcome != CandidateOutcome.EXCLUDED
    }
    if not scores:
        yield "No candidate was measured."
    elif scores.get(selection.selected_algorithm) != max(scores.values()):
        yield f"{selection.selected_algorithm} was chosen, but its combined score is not the best."


@check(
    "3.2b",
    phase=3,
    title="History was used where there was history, and the record says so",
    remediation="The ranking used priors although enough runs were there. Run the selection again "
    "and compare the choice.",
    priority=Priority.P2,
)
def history_was_used(context: CheckContext) -> Iterator[SubjectOutcome]:
    """The recorded numbers of past runs are true, and from three runs on they were used."""
    from training.pipeline.selector.state import MINIMUM_RUNS

    for selection in finished_selections():
        if not selection.history:
            yield context.failed(selection, "It does not say what history it used.")
            continue
        certain, possible = _past_runs(selection)
        problems = []
        for name, entry in selection.history.items():
            runs, source = entry.get("runs", 0), entry.get("source")
            if source != ("database" if runs >= MINIMUM_RUNS else "prior"):
                problems.append(f"{name}: {runs} runs, but the source was {source}.")
            if not certain[name] <= runs <= possible[name]:
                problems.append(f"{name}: {runs} runs are recorded; there were {possible[name]}.")
        if problems:
            yield context.failed(selection, " ".join(problems), evidence=selection.history)
        else:
            yield context.passed(selection, evidence=selection.history)


def _past_runs(selection: Selection) -> tuple[Counter[str], Counter[str]]:
    """Past runs by algorithm that the selection must have seen, and that it may have seen.

    Deleted runs counted while they were there; failed ones may have no time of their end.
    """
    begun = selection.started_at or selection.created_at
    rows = TrainingRun.objects.filter(
        role=RunRole.TRAINING,
        status__in=(RunStatus.FINISHED, RunStatus.FAILED),
        experiment__problem_type=selection.experiment.problem_type,
        created_at__lt=begun,
    )
    seen = rows.filter(status=RunStatus.FINISHED, completed_at__lt=begun, deleted_in_mlflow=False)
    return (
        Counter(seen.values_list("algorithm", flat=True)),
        Counter(rows.values_list("algorithm", flat=True)),
    )
