"""Ask model_selector to choose an algorithm."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from django.db import transaction

from e2i_site.core.errors import InvalidInput
from e2i_site.jobs.enqueue import enqueue
from e2i_site.trail.record import record
from training import trail_events
from training.models import Experiment, Selection
from training.pipeline.selector.state import Constraints
from training.policies import may_request_selection

if TYPE_CHECKING:
    from django.contrib.auth.models import User

MAX_FOLDS = 20


@transaction.atomic
def request_selection(
    *,
    actor: User | None,
    experiment: Experiment,
    constraints: Mapping[str, Any] | None = None,
    top: int = 3,
    folds: int = 5,
) -> Selection:
    """Enqueue a selection for the experiment's data set.

    `constraints`: max_latency_ms, max_memory_gb, minimum_interpretability, exclude, preferred,
    causal_required. Raises `Refused` or `InvalidInput`.
    """
    may_request_selection(actor, experiment).enforce()
    limits = parse_constraints(constraints or {})
    if top < 1:
        raise InvalidInput("At least one candidate must be benchmarked.", field="top")
    if not 2 <= folds <= MAX_FOLDS:
        raise InvalidInput(f"Between 2 and {MAX_FOLDS} folds are possible.", field="folds")
    selection = Selection.objects.create(
        experiment=experiment,
        dataset=experiment.dataset,
        constraints={**limits.as_dict(), "top": top, "folds": folds},
        created_by=actor,
    )
    selection.job = enqueue(
        "training.select",
        payload={"selection": selection.pk},
        subject=f"experiment:{experiment.experiment_id}",
        actor=actor,
        key=f"selection:{selection.pk}",
    )
    selection.save(update_fields=["job"])
    record(
        trail_events.SELECTION_REQUESTED,
        actor=actor,
        subject=selection,
        new={"constraints": selection.constraints, "dataset_digest": experiment.dataset.digest},
    )
    return selection


def parse_constraints(raw: Mapping[str, Any]) -> Constraints:
    """Constraints with known names and sensible values. Raises `InvalidInput`."""
    from training.pipeline.algorithms import find

    known = Constraints().as_dict()
    for name in raw:
        if name not in known:
            raise InvalidInput(
                f"There is no constraint {name!r}; there are {', '.join(known)}.", field=name
            )
    for name in (*raw.get("exclude", ()), *raw.get("preferred", ())):
        find(name)
    return Constraints(
        max_latency_ms=_positive(raw, "max_latency_ms"),
        max_memory_gb=_positive(raw, "max_memory_gb"),
        minimum_interpretability=_share(raw, "minimum_interpretability"),
        exclude=tuple(raw.get("exclude", ())),
        preferred=tuple(raw.get("preferred", ())),
        causal_required=bool(raw.get("causal_required", False)),
    )


def _positive(raw: Mapping[str, Any], name: str) -> float | None:
    value = _number(raw, name)
    if value is not None and not 0 < value < math.inf:
        raise InvalidInput(f"{name} must be a number above 0, not {value!r}.", field=name)
    return value


def _share(raw: Mapping[str, Any], name: str) -> float | None:
    value = _number(raw, name)
    if value is not None and not 0 <= value <= 1:
        raise InvalidInput(f"{name} must be between 0 and 1, not {value!r}.", field=name)
    return value


def _number(raw: Mapping[str, Any], name: str) -> float | None:
    value = raw.get(name)
    if value is None:
        return None
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise InvalidInput(f"{name} must be a number, not {value!r}.", field=name)
    return float(value)
