"""Ask model_trainer for a model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import transaction

from e2i_site.core.errors import InvalidInput
from e2i_site.jobs.enqueue import enqueue
from e2i_site.trail.record import record
from training import trail_events
from training.choices import RunRole, RunSource, RunStatus
from training.models import Experiment, Selection, TrainingRun
from training.policies import may_request_training

if TYPE_CHECKING:
    from django.contrib.auth.models import User

MAX_TRIALS = 1000
MAX_SECONDS = 24 * 3600.0
MAX_FOLDS = 20
MAX_SEED = 2**31 - 1


@transaction.atomic
def request_training(
    *,
    actor: User | None,
    experiment: Experiment,
    algorithm: str = "",
    trials: int = 50,
    timeout_seconds: float = 3600.0,
    folds: int = 3,
    balancing: str = "",
    seed: int = 42,
) -> TrainingRun:
    """Enqueue a training; without `algorithm` the one that the latest selection chose.

    `balancing` as in `pipeline.imbalance.Balancing`; empty lets the data decide. Raises `Refused`
    or `InvalidInput`.
    """
    may_request_training(actor, experiment).enforce()
    _check(trials, timeout_seconds, folds, seed)
    selection = latest_selection(experiment)
    algorithm = algorithm or (selection.selected_algorithm if selection else "")
    if not algorithm:
        raise InvalidInput(
            f"No selection of {experiment.experiment_id} is finished; run one first or name an "
            "algorithm.",
            field="algorithm",
        )
    _check_choice(experiment, algorithm, balancing)
    run = TrainingRun.objects.create(
        experiment=experiment,
        dataset=experiment.dataset,
        selection=selection,
        run_name=algorithm,
        source=RunSource.E2I,
        role=RunRole.TRAINING,
        status=RunStatus.SCHEDULED,
        algorithm=algorithm,
        request=(
            asked := {
                "trials": trials,
                "timeout_seconds": timeout_seconds,
                "folds": folds,
                "balancing": balancing,
                "seed": seed,
            }
        ),
        created_by=actor,
    )
    run.job = enqueue(
        "training.train",
        payload={"training_run": run.pk},
        subject=f"experiment:{experiment.experiment_id}",
        actor=actor,
        key=f"training:{run.pk}",
    )
    run.save(update_fields=["job"])
    new: dict[str, Any] = {"algorithm": algorithm, **asked}
    record(trail_events.TRAINING_REQUESTED, actor=actor, subject=run, new=new)
    return run


def latest_selection(experiment: Experiment) -> Selection | None:
    """The newest finished selection on the experiment's data set."""
    return Selection.objects.filter(
        experiment=experiment, dataset=experiment.dataset_id, status=RunStatus.FINISHED
    ).first()


def _check(trials: int, timeout_seconds: float, folds: int, seed: int) -> None:
    if not 0 <= trials <= MAX_TRIALS:
        raise InvalidInput(f"Between 0 and {MAX_TRIALS} trials are possible.", field="trials")
    if not 0 < timeout_seconds <= MAX_SECONDS:
        raise InvalidInput(
            f"The time limit is above 0 and at most {MAX_SECONDS:g} s.", field="timeout_seconds"
        )
    if not 2 <= folds <= MAX_FOLDS:
        raise InvalidInput(f"Between 2 and {MAX_FOLDS} folds are possible.", field="folds")
    if not 0 <= seed <= MAX_SEED:
        raise InvalidInput(f"The seed is between 0 and {MAX_SEED}.", field="seed")


def _check_choice(experiment: Experiment, algorithm: str, balancing: str) -> None:
    from training.pipeline.algorithms import find, suits
    from training.pipeline.types import Balancing, Problem

    find(algorithm)
    fitting = suits(Problem(experiment.problem_type))
    if algorithm not in fitting:
        raise InvalidInput(
            f"{algorithm} does not solve {experiment.problem_type} problems; choose one of "
            f"{', '.join(fitting)}.",
            field="algorithm",
        )
    if balancing:
        problem = Problem(experiment.problem_type)
        known = [choice.value for choice in Balancing if problem.is_classification]
        if balancing not in [*known, Balancing.NONE]:
            raise InvalidInput(
                f"Balancing {balancing!r} is unknown; choose one of {', '.join(known) or 'none'}.",
                field="balancing",
            )
