"""Ask a modelling question."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from e2i_site.core.errors import Conflict, InvalidInput
from e2i_site.mlflow_connector.naming import PREFIX, experiment_name
from e2i_site.trail.record import record
from training import trail_events
from training.models import Dataset, Experiment
from training.models.experiment import CRITERIA, is_measured
from training.policies import may_create_experiment

if TYPE_CHECKING:
    from django.contrib.auth.models import User


@transaction.atomic
def create_experiment(
    *,
    actor: User | None,
    experiment_id: str,
    name: str,
    dataset: Dataset,
    description: str = "",
    prediction_target: str = "",
    target_population: str = "",
    observation_window_days: int | None = None,
    prediction_horizon_days: int | None = None,
    criteria: Mapping[str, float] | None = None,
) -> Experiment:
    """Create an experiment on `dataset`, which fixes the target and the type of problem.

    `criteria`: success criteria by name, as in {"minimum_auc": .7}; unknown names are refused, and
    those that are not measured for the data set's problem.
    Raises `Refused`, `InvalidInput`, or `Conflict` when the id is taken.
    """
    may_create_experiment(actor).enforce()
    if experiment_id.startswith(PREFIX):
        raise InvalidInput(
            f"Leave out {PREFIX!r}; it is put before names in MLflow.", field="experiment_id"
        )
    try:
        experiment_name("model_trainer", experiment_id)
    except InvalidInput as error:
        raise InvalidInput(str(error), field="experiment_id") from None
    experiment = Experiment(
        experiment_id=experiment_id,
        name=name,
        description=description,
        dataset=dataset,
        problem_type=dataset.problem_type,
        prediction_target=prediction_target or dataset.target,
        target_population=target_population,
        observation_window_days=observation_window_days,
        prediction_horizon_days=prediction_horizon_days,
        created_by=actor,
        **_known(criteria or {}, dataset),
    )
    if Experiment.objects.filter(experiment_id=experiment_id).exists():
        raise Conflict(f"There is an experiment {experiment_id} already.")
    try:
        experiment.full_clean(exclude=["created_by"])
    except ValidationError as error:
        field, messages = next(iter(error.message_dict.items()))
        raise InvalidInput(f"{field}: {messages[0]}", field=field) from None
    try:
        with transaction.atomic():
            experiment.save(force_insert=True)
    except IntegrityError:
        raise Conflict(f"There is an experiment {experiment_id} already.") from None
    record(
        trail_events.EXPERIMENT_CREATED,
        actor=actor,
        subject=experiment,
        new={
            "experiment_id": experiment_id,
            "dataset": dataset.name,
            "dataset_digest": dataset.digest,
            "criteria": dict(criteria or {}),
        },
    )
    return experiment


def _known(criteria: Mapping[str, float], dataset: Dataset) -> dict[str, float]:
    for name, limit in criteria.items():
        if name not in CRITERIA:
            raise InvalidInput(
                f"There is no success criterion {name!r}; there are {', '.join(CRITERIA)}.",
                field=name,
            )
        if not is_measured(CRITERIA[name][0], dataset.problem_type):
            problem = dataset.get_problem_type_display().lower()
            raise InvalidInput(f"{name} is not measured for a {problem} problem.", field=name)
        if not math.isfinite(limit):
            raise InvalidInput(f"{name} must be a finite number, not {limit}.", field=name)
    return dict(criteria)
