"""The page of models among many: time in the database, and queries.

A process of its own, for a database of its own. Prints the report of `benchmarks.pages` that it
adds to.
"""

from __future__ import annotations

import random
import statistics
import time
from datetime import UTC, datetime, timedelta
from typing import Any

from benchmarks._harness import Report, parser, say
from benchmarks._parts import folder, set_up_site
from benchmarks._runs import asked, viewer

METRICS = ("auc", "f1", "loss")
LAST = datetime(2026, 6, 1, tzinfo=UTC)
BATCH = 2000
REPEATS = 20
#: What is searched, by the page's search line and order.
QUESTIONS = {
    "all by name": ("", ""),
    "part of a name": ("model-019", ""),
    "metric>0.9": ("metric.auc>0.9", ""),
    "metric>0.5, by another metric": ("metric.auc>0.5", "-metric.f1"),
    "stage, parameter and metric, by another metric": (
        "stage:production param.depth=2 metric.auc>0.5",
        "-metric.f1",
    ),
    "all by a metric": ("", "-metric.auc"),
    "a policy": ("policy:strict", ""),
    "drift": ("drift:yes", ""),
    "a policy, drift, by a metric": ("policy:strict drift:yes", "-metric.auc"),
}


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--models", type=int, default=2000)
    arguments.add_argument("--versions", type=int, default=10, help="of each model")
    arguments.add_argument("--database", default="", help="URL; by default SQLite")
    options = arguments.parse_args()
    report = Report("pages", {"models": options.models, "versions": options.versions})
    with folder() as place:
        set_up_site(place / "site", database=options.database)
        fill(options.models, options.versions)
        measure(report)
    report.finish()


def measure(report: Report) -> None:
    client = viewer()
    for what, (q, sort) in QUESTIONS.items():
        page = {"q": q, "sort": sort, "columns": "auc,f1,param.depth"}
        found = [asked(client, "/registry/", page) for _ in range(REPEATS + 2)][2:]
        database = [each.database for each in found]
        report.add(f"{what}: database", statistics.median(database), "ms")
        report.add(f"{what}: database, least", min(database), "ms")
        report.add(f"{what}: whole answer", statistics.median(each.whole for each in found), "ms")
        report.add(f"{what}: queries", found[-1].queries, "queries")


def fill(models: int, versions: int) -> None:
    """Models whose versions each have a run; half of them have one in production."""
    from django.db import connection

    from registry.models import RegisteredModel, RegistryEntry, StageChange
    from training.models import MlflowExperiment, RunMetric, TrainingRun

    begun, chance = time.perf_counter(), random.Random(7)
    _policies()
    MlflowExperiment.objects.create(mlflow_id="1", name="bench")
    RegisteredModel.objects.bulk_create(
        (_model(number, versions) for number in range(models)), batch_size=BATCH
    )
    count = models * versions
    TrainingRun.objects.bulk_create(
        (_run(number, versions, chance) for number in range(count)), batch_size=BATCH
    )
    runs = list(TrainingRun.objects.order_by("pk").values_list("pk", "metrics"))
    RunMetric.objects.bulk_create(
        (
            RunMetric(run_id=pk, key=key, value=value)
            for pk, metrics in runs
            for key, value in metrics.items()
        ),
        batch_size=BATCH,
    )
    RegistryEntry.objects.bulk_create(
        (
            RegistryEntry(
                model_id=_name(number // versions),
                model_version=number % versions + 1,
                training_run_id=pk,
                stage="production" if _is_production(number, versions) else "development",
            )
            for number, (pk, _) in enumerate(runs)
        ),
        batch_size=BATCH,
    )
    StageChange.objects.bulk_create(
        StageChange(
            entry=entry,
            from_stage="shadow",
            to_stage="production",
            cause="import",
            at=LAST,
        )
        for entry in RegistryEntry.objects.filter(stage="production")
    )
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE" if connection.vendor == "postgresql" else "ANALYZE")
    say(f"{models:,} models, {count:,} versions are here ({time.perf_counter() - begun:.0f} s)")


def _name(model: int) -> str:
    return f"model-{model:04}"


def _is_production(number: int, versions: int) -> bool:
    """Of every other model the last version but two, as far as it has so many."""
    return number // versions % 2 == 0 and number % versions == max(versions - 3, 0)


def _model(number: int, versions: int) -> Any:
    from registry.models import RegisteredModel

    ours = max(versions - 3, 0) + 1
    # MLflow has the alias of some elsewhere.
    alias = {"production": ours + (number % 20 == 0)} if number % 2 == 0 else {}
    return RegisteredModel(
        name=_name(number),
        aliases=alias,
        tags={"team": f"team{number % 10}"},
        created_in_mlflow=LAST - timedelta(minutes=number),
        updated_in_mlflow=LAST - timedelta(seconds=number),
    )


def _run(number: int, versions: int, chance: random.Random) -> Any:
    from training.models import TrainingRun

    return TrainingRun(
        mlflow_run_id=f"{number:032x}",
        mlflow_experiment_id="1",
        mlflow_available=True,
        run_name=f"run-{number}",
        source="mlflow",
        role="training",
        status="finished",
        started_at=LAST,
        params={"depth": str(number // versions % 8), "seed": str(number)},
        metrics={name: chance.random() for name in METRICS},
    )


def _policies() -> None:
    """A policy of a name of its own for a tenth of the models."""
    from registry.models import PromotionPolicy

    newest = PromotionPolicy.objects.newest("default")
    assert newest is not None
    newest.pk, newest.name, newest.version = None, "strict", 1
    newest.model_patterns = ["model-???0"]
    newest.save(force_insert=True)


if __name__ == "__main__":
    main()
