"""model_trainer on the shipped data set, and the bootstrap of its intervals.

The pipeline is compared with Optuna and scikit-learn alone: the same trials on the same folds
with the same sampler and pruner in memory, then one fit and one prediction. The difference is
what gates, records, tracking in MLflow, evaluation and saving cost. The bootstrap is compared
with a loop over scikit-learn's metrics.
"""

from __future__ import annotations

import contextlib
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._harness import Report, parser, say
from benchmarks._parts import folder, mlflow_server, set_up_site

DATA = Path(__file__).resolve().parents[1] / "data" / "randhie.csv"
TARGET = "any_visit = mdvis > 0"
FOLDS = 3
SEED = 42
REPEATS = 1000


class Clock:
    """A recorder of nodes that keeps how long each took, seconds."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)

    @contextlib.contextmanager
    def node(self, name: str) -> Iterator[Any]:
        from training.pipeline.steps import NodeNote

        begun = time.perf_counter()
        yield NodeNote()
        self.seconds[name] += time.perf_counter() - begun

    def progress(self, phase: str, done: int, total: int) -> None:
        pass

    def raise_if_cancelled(self) -> None:
        pass


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--trials", type=int)
    arguments.add_argument("--algorithm", default="LightGBM")
    options = arguments.parse_args()
    trials = options.trials or (50 if options.full else 5)
    naive_repeats = 100 if options.full else 10
    report = Report(
        "training",
        {
            "algorithm": options.algorithm,
            "trials": trials,
            "folds": FOLDS,
            "bootstrap_repeats": REPEATS,
            "naive_repeats": naive_repeats,
        },
    )
    with folder() as place, mlflow_server(place / "mlflow") as url:
        set_up_site(place / "site", mlflow=url)
        from training.pipeline.data import Target, load_file

        data = load_file("randhie", DATA, Target.parse(TARGET))
        report.sizes["rows"] = len(data)
        for warm in (True, False):  # the first time imports; it is not counted
            say("warming up" if warm else "measuring")
            count = 1 if warm else trials
            found, clock, ours = pipeline(data, options.algorithm, count, place / f"warm-{warm}")
            plain, model_seconds = without_us(data, options.algorithm, count)
        compare(report, found, clock, ours, plain, model_seconds)
        bootstrap(report, data, found, naive_repeats)
    report.finish()


def pipeline(data: Any, algorithm: str, trials: int, place: Path) -> tuple[Any, Clock, float]:
    """The result of one training, the time of each node, and the time of all, seconds."""
    from e2i_site.mlflow_connector import get_connector
    from training.pipeline.trainer.run import train
    from training.pipeline.trainer.state import TrainingRequest

    place.mkdir()
    clock = Clock()
    request = TrainingRequest(
        experiment_id=f"bench-{trials}",
        algorithm=algorithm,
        storage_url=f"sqlite:///{place / 'optuna.sqlite3'}",
        run_key="benchmark",
        trials=trials,
        folds=FOLDS,
        seed=SEED,
    )
    begun = time.perf_counter()
    found = train(data, request, clock, get_connector(), place / "models", run_name="benchmark")
    seconds = time.perf_counter() - begun
    if found.blocked_by:
        raise RuntimeError(f"The training was blocked by {found.blocked_by}.")
    return found, clock, seconds


def without_us(data: Any, algorithm: str, trials: int) -> tuple[float, float]:
    """Seconds for the same search without E2I, and for one fit and prediction."""
    import optuna
    from sklearn.metrics import roc_auc_score
    from sklearn.pipeline import make_pipeline

    from training.pipeline import splits
    from training.pipeline.algorithms import find
    from training.pipeline.preprocessing import make_preprocessing
    from training.pipeline.types import Split

    known = find(algorithm)
    rows = splits.split(data, seed=SEED)
    folds = list(splits.folds(data, rows, FOLDS, SEED))

    def model(params: dict[str, Any]) -> Any:
        estimator = known.make(data.problem, params, seed=SEED)
        return make_pipeline(make_preprocessing(data, scale=known.scale), estimator)

    def objective(trial: optuna.Trial) -> float:
        params, scores = known.suggest(trial), []
        for step, (fit, score) in enumerate(folds):
            fitted = model(params).fit(data.take(fit), data.labels(fit))
            answers = fitted.predict_proba(data.take(score))[:, 1]
            scores.append(roc_auc_score(data.labels(score), answers))
            trial.report(float(np.mean(scores)), step)
            if step + 1 < len(folds) and trial.should_prune():
                raise optuna.TrialPruned
        return float(np.mean(scores))

    begun = time.perf_counter()
    study = optuna.create_study(
        direction="maximize",
        sampler=optuna.samplers.TPESampler(seed=SEED, multivariate=True, n_startup_trials=10),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=5),
    )
    study.enqueue_trial(dict(known.defaults))
    study.optimize(objective, n_trials=trials)
    searched = time.perf_counter() - begun
    begun = time.perf_counter()
    best = model(study.best_params)
    best.fit(data.take(rows[Split.TRAIN]), data.labels(rows[Split.TRAIN]))
    best.predict_proba(data.take(rows[Split.TEST]))
    return searched, time.perf_counter() - begun


def compare(
    report: Report, found: Any, clock: Clock, ours: float, searched: float, fitted: float
) -> None:
    nodes = clock.seconds
    report.add("whole training", ours, "s", theirs=searched + fitted)
    report.add("overhead of the whole training", ours - searched - fitted, "s")
    report.add("search", nodes["tune_hyperparameters"], "s", theirs=searched)
    report.add(
        "preprocessing and fit",
        nodes["fit_preprocessing"] + nodes["apply_resampling"] + nodes["train_model"],
        "s",
    )
    report.add("fit and prediction with scikit-learn alone", fitted, "s")
    for name, seconds in nodes.items():
        if name not in ("tune_hyperparameters", "fit_preprocessing", "train_model"):
            report.add(f"node {name}", seconds, "s")
    report.add("ROC AUC on test", found.evaluation.primary_value, "")
    report.notes.append(
        "The search logs each trial to MLflow as a run of its own and keeps the study on disk."
    )


def bootstrap(report: Report, data: Any, found: Any, naive_repeats: int) -> None:
    """Intervals of the test metrics, ours against a loop over scikit-learn's metrics."""
    from training.pipeline import splits
    from training.pipeline.fitting import predict
    from training.pipeline.trainer.bootstrap import intervals
    from training.pipeline.types import Split

    rows = splits.split(data, seed=SEED)[Split.TEST]
    y, answers = data.labels(rows), predict(found.trained.model, data.take(rows), data.problem)
    threshold = found.evaluation.threshold
    begun = time.perf_counter()
    ours = intervals(data.problem, y, answers, threshold=threshold, repeats=REPEATS)
    seconds = time.perf_counter() - begun
    begun = time.perf_counter()
    generator = np.random.default_rng(SEED)
    for _ in range(naive_repeats):
        drawn = generator.integers(0, len(y), len(y))
        metrics_by_scikit_learn(y[drawn], answers[drawn], threshold)
    naive = (time.perf_counter() - begun) * REPEATS / naive_repeats
    report.sizes |= {"bootstrap_rows": len(y), "bootstrap_metrics": len(ours)}
    report.add("bootstrap", seconds, "s", theirs=naive)
    report.notes.append(
        f"The naive bootstrap ran {naive_repeats} repeats, scaled to {REPEATS}, of 8 metrics; "
        f"ours gives {len(ours)}."
    )


def metrics_by_scikit_learn(y: Any, answers: Any, threshold: float) -> list[float]:
    from sklearn import metrics as m

    decided = answers >= threshold
    return [
        m.accuracy_score(y, decided),
        m.precision_score(y, decided),
        m.recall_score(y, decided),
        m.f1_score(y, decided),
        m.brier_score_loss(y, answers),
        m.log_loss(y, answers),
        m.roc_auc_score(y, answers),
        m.average_precision_score(y, answers),
    ]


if __name__ == "__main__":
    main()
