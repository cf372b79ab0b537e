"""The algorithms: what is known of each before measuring, how to build it, what to tune."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from e2i_site.core.errors import InvalidInput
from training.pipeline.types import SEED, Params, Problem

if TYPE_CHECKING:
    from optuna.trial import BaseTrial

    Suggest = Callable[[BaseTrial], dict[str, Any]]

BINARY, MULTICLASS, REGRESSION = Problem.BINARY, Problem.MULTICLASS, Problem.REGRESSION
CLASSIFICATION = frozenset({BINARY, MULTICLASS})


@dataclass(frozen=True)
class Algorithm:
    """Starting values of an algorithm; a benchmark replaces latency and memory.

    `latency_ms` for one row, `memory_gb`, interpretability and scalability 0..1, priors: success
    rate assumed where the history is too short.
    """

    name: str
    framework: str
    problems: frozenset[Problem]
    latency_ms: float
    memory_gb: float
    interpretability: float
    scalability: float
    prior_classification: float | None
    prior_regression: float | None
    build: Callable[[Problem, Params, int, int], Any]
    suggest: Suggest
    defaults: Mapping[str, Any]
    scale: bool = False
    causal: bool = False

    def prior(self, problem: Problem) -> float | None:
        return self.prior_classification if problem.is_classification else self.prior_regression

    def make(self, problem: Problem, params: Params, *, seed: int = SEED, n_jobs: int = 1) -> Any:
        """An unfitted estimator; `params` override the defaults."""
        return self.build(problem, {**self.defaults, **params}, seed, n_jobs)


def _logistic(problem: Problem, params: Params, seed: int, n_jobs: int) -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(max_iter=2000, random_state=seed, **params)


def _suggest_logistic(trial: BaseTrial) -> dict[str, Any]:
    return {"C": trial.suggest_float("C", 1e-3, 1e2, log=True)}


def _ridge(problem: Problem, params: Params, seed: int, n_jobs: int) -> Any:
    from sklearn.linear_model import Ridge

    return Ridge(random_state=seed, **params)


def _lasso(problem: Problem, params: Params, seed: int, n_jobs: int) -> Any:
    from sklearn.linear_model import Lasso

    return Lasso(max_iter=5000, random_state=seed, **params)


def _suggest_alpha(trial: BaseTrial) -> dict[str, Any]:
    return {"alpha": trial.suggest_float("alpha", 1e-4, 1e2, log=True)}


def _forest(problem: Problem, params: Params, seed: int, n_jobs: int) -> Any:
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

    kind = RandomForestClassifier if problem.is_classification else RandomForestRegressor
    return kind(random_state=seed, n_jobs=n_jobs, **params)


def _suggest_forest(trial: BaseTrial) -> dict[str, Any]:
    return {
        "n_estimators": trial.suggest_int("n_estimators", 50, 200, step=25),
        "max_depth": trial.suggest_int("max_depth", 3, 16),
        "min_samples_leaf": trial.suggest_int("min_samples_leaf", 1, 50, log=True),
        "max_features": trial.suggest_float("max_features", 0.2, 1.0),
    }


def _lightgbm(problem: Problem, params: Params, seed: int, n_jobs: int) -> Any:
    from lightgbm import LGBMClassifier, LGBMRegressor

    kind = LGBMClassifier if problem.is_classification else LGBMRegressor
    return kind(
        random_state=seed,
        n_jobs=n_jobs,
        deterministic=True,
        force_row_wise=True,
        subsample_freq=1,
        verbosity=-1,
        **params,
    )


def _suggest_lightgbm(trial: BaseTrial) -> dict[str, Any]:
    return {
        "n_estimators": trial.suggest_int("n_estimators", 50, 300, step=25),
        "learning_rate": trial.suggest_float("learning_rate", 0.01, 0.3, log=True),
        "num_leaves": trial.suggest_int("num_leaves", 7, 63, log=True),
        "min_child_samples": trial.suggest_int("min_child_samples", 5, 100),
        "subsample": trial.suggest_float("subsample", 0.6, 1.0),
        "colsample_bytree": trial.suggest_float("colsample_bytree", 0.6, 1.0),
        "reg_lambda": trial.suggest_float("reg_lambda", 1e-3, 10.0, log=True),
    }


def _xgboost(problem: Problem, params: Params, seed: int, n_jobs: int) -> Any:
    from xgboost import XGBClassifier, XGBRegressor

    kind = XGBClassifier if problem.is_classification else XGBRegressor
    return kind(random_state=seed, n_jobs=n_jobs, tree_method="hist", verbosity=0, **params)


def _suggest_xgboost(trial: BaseTrial) -> dict[str, Any]:
    return {
        "n_estimators": trial.suggest_int("n_estimators", 50, 300, step=25),
        "learning_rate": trial.suggest_float("learning_rate", 0.01, 0.3, log=True),
        "max_depth": trial.suggest_int("max_depth", 2, 8),
        "min_child_weight": trial.suggest_float("min_child_weight", 1.0, 20.0, log=True),
        "subsample": trial.suggest_float("subsample", 0.6, 1.0),
        "colsample_bytree": trial.suggest_float("colsample_bytree", 0.6, 1.0),
        "reg_lambda": trial.suggest_float("reg_lambda", 1e-3, 10.0, log=True),
    }


_BOOSTED: Mapping[str, Any] = {
    "n_estimators": 150,
    "learning_rate": 0.05,
    "subsample": 0.9,
    "colsample_bytree": 0.9,
    "reg_lambda": 1.0,
}

ALGORITHMS: Mapping[str, Algorithm] = {
    algorithm.name: algorithm
    for algorithm in (
        Algorithm(
            name="XGBoost",
            framework="xgboost",
            problems=CLASSIFICATION | {REGRESSION},
            latency_ms=20,
            memory_gb=2,
            interpretability=0.6,
            scalability=0.8,
            prior_classification=0.78,
            prior_regression=0.75,
            build=_xgboost,
            suggest=_suggest_xgboost,
            defaults={**_BOOSTED, "max_depth": 4, "min_child_weight": 1.0},
        ),
        Algorithm(
            name="LightGBM",
            framework="lightgbm",
            problems=CLASSIFICATION | {REGRESSION},
            latency_ms=15,
            memory_gb=1.5,
            interpretability=0.6,
            scalability=0.95,
            prior_classification=0.76,
            prior_regression=0.73,
            build=_lightgbm,
            suggest=_suggest_lightgbm,
            defaults={**_BOOSTED, "num_leaves": 15, "min_child_samples": 20},
        ),
        Algorithm(
            name="RandomForest",
            framework="sklearn",
            problems=CLASSIFICATION | {REGRESSION},
            latency_ms=30,
            memory_gb=3,
            interpretability=0.5,
            scalability=0.7,
            prior_classification=0.72,
            prior_regression=0.70,
            build=_forest,
            suggest=_suggest_forest,
            defaults={
                "n_estimators": 100,
                "max_depth": 10,
                "min_samples_leaf": 5,
                "max_features": 0.5,
            },
        ),
        Algorithm(
            name="LogisticRegression",
            framework="sklearn",
            problems=CLASSIFICATION,
            latency_ms=1,
            memory_gb=0.1,
            interpretability=1,
            scalability=1,
            prior_classification=0.65,
            prior_regression=None,
            build=_logistic,
            suggest=_suggest_logistic,
            defaults={"C": 1.0},
            scale=True,
        ),
        Algorithm(
            name="Ridge",
            framework="sklearn",
            problems=frozenset({REGRESSION}),
            latency_ms=1,
            memory_gb=0.1,
            interpretability=1,
            scalability=1,
            prior_classification=None,
            prior_regression=0.60,
            build=_ridge,
            suggest=_suggest_alpha,
            defaults={"alpha": 1.0},
            scale=True,
        ),
        Algorithm(
            name="Lasso",
            framework="sklearn",
            problems=frozenset({REGRESSION}),
            latency_ms=1,
            memory_gb=0.1,
            interpretability=1,
            scalability=1,
            prior_classification=None,
            prior_regression=0.58,
            build=_lasso,
            suggest=_suggest_alpha,
            defaults={"alpha": 0.01},
            scale=True,
        ),
    )
}

BASELINE = {
    Problem.BINARY: "LogisticRegression",
    Problem.MULTICLASS: "LogisticRegression",
    Problem.REGRESSION: "Ridge",
}


def find(name: str) -> Algorithm:
    """The algorithm of this name. Raises `InvalidInput`, listing the known ones."""
    try:
        return ALGORITHMS[name]
    except KeyError:
        known = ", ".join(ALGORITHMS)
        raise InvalidInput(
            f"Algorithm {name!r} is unknown; choose one of {known}.", field="algorithm"
        ) from None


def suits(problem: Problem) -> list[str]:
    """Names of the algorithms that can solve a problem of this type."""
    return [name for name, algorithm in ALGORITHMS.items() if problem in algorithm.problems]
