"""What past runs say about each algorithm."""

from __future__ import annotations

from collections import Counter

from training.choices import RunRole, RunStatus
from training.models import TrainingRun
from training.pipeline.selector.state import PastRuns
from training.queries import judge_criteria

ENDED = (RunStatus.FINISHED, RunStatus.FAILED)


def past_runs(problem_type: str) -> dict[str, PastRuns]:
    """Ended trainings by algorithm on this type of problem, and how many of them succeeded.

    A training succeeded when it finished and its test metrics meet every success criterion of its
    experiment; an unmeasured one is not met. Stopped runs say nothing and are left out.
    """
    runs: Counter[str] = Counter()
    successes: Counter[str] = Counter()
    ended = TrainingRun.objects.filter(
        role=RunRole.TRAINING,
        experiment__problem_type=problem_type,
        status__in=ENDED,
        deleted_in_mlflow=False,
    ).exclude(algorithm="")
    for run in ended.select_related("experiment").iterator():
        runs[run.algorithm] += 1
        successes[run.algorithm] += _succeeded(run)
    return {name: PastRuns(runs[name], successes[name]) for name in runs}


def _succeeded(run: TrainingRun) -> bool:
    if run.status != RunStatus.FINISHED or run.experiment is None:
        return False
    return all(criterion.met for criterion in judge_criteria(run.experiment, run))
