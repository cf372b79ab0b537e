"""Starting a study from the nearest one that is already there."""

from __future__ import annotations

import math
from collections.abc import Mapping, Set
from dataclasses import dataclass
from typing import Any

from training.pipeline.types import PRIMARY_METRIC, Problem

MINIMUM_SIMILARITY = 0.6
BEST_TRIALS = 3


@dataclass(frozen=True)
class Nearest:
    """A study to learn from and its best parameters, best first."""

    study_name: str
    similarity: float
    best_params: tuple[Mapping[str, Any], ...]


def profile(algorithm: str, problem: Problem, rows: int, features: int) -> dict[str, Any]:
    """What studies are compared by; stored with each study."""
    return {
        "algorithm": algorithm,
        "problem": problem.value,
        "metric": PRIMARY_METRIC[problem],
        "rows": rows,
        "features": features,
    }


def similarity(a: Mapping[str, Any], b: Mapping[str, Any]) -> float:
    """0..1: algorithm .4, problem .3, metric .1, logarithm of rows .1, features .1."""
    value = 0.4 * (a["algorithm"] == b["algorithm"])
    value += 0.3 * (a["problem"] == b["problem"])
    value += 0.1 * (a["metric"] == b["metric"])
    value += 0.1 * max(0.0, 1 - abs(math.log10(max(a["rows"], 1) / max(b["rows"], 1))))
    largest = max(a["features"], b["features"])
    value += 0.1 * (min(a["features"], b["features"]) / largest if largest else 1.0)
    return float(value)


def find_nearest(
    storage: Any, name: str, mine: Mapping[str, Any], space: Set[str]
) -> Nearest | None:
    """The most similar other study, at least .6 similar, whose parameters are of use in `space`."""
    from optuna import load_study
    from optuna.study import get_all_study_summaries
    from optuna.trial import TrialState

    candidates = []
    for summary in get_all_study_summaries(storage, include_best_trial=False):
        facts = summary.user_attrs
        if summary.study_name == name or not set(mine) <= set(facts):
            continue
        near = similarity(mine, facts)
        if near >= MINIMUM_SIMILARITY:
            candidates.append((-near, summary.study_name))
    for negative, other in sorted(candidates):
        study = load_study(study_name=other, storage=storage)
        complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        if complete:
            best = sorted(complete, key=lambda trial: -(trial.value or 0.0))[:BEST_TRIALS]
            usable = [{k: v for k, v in t.params.items() if k in space} for t in best]
            if any(usable):
                return Nearest(other, -negative, tuple(params for params in usable if params))
    return None
