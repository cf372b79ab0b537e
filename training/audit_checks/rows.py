"""Which rows the checks look at."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from django.db.models import QuerySet

from e2i_site.audit.registry import CheckContext
from e2i_site.mlflow_connector.types import Run
from training.choices import RunRole, RunSource, RunStatus
from training.models import Selection, TrainingRun

# Large columns that no check of runs reads.
_LONG = ("evaluation", "feature_names", "request", "error_message")
MLFLOW_RUN_ID = re.compile(r"[0-9a-f]{32}")
EXAMINED = 20


def trainer_runs() -> QuerySet[TrainingRun]:
    """Finished runs of this installation's model_trainer; mirrored ones have no journal here."""
    return (
        TrainingRun.objects.filter(
            source=RunSource.E2I, role=RunRole.TRAINING, status=RunStatus.FINISHED
        )
        .exclude(journal_id="")
        .select_related("experiment", "selection", "mlflow_experiment", "registry_entry")
        .defer(*_LONG)
    )


def delivered_runs() -> QuerySet[TrainingRun]:
    """Those that MLflow has, by what their rows say."""
    return trainer_runs().filter(mlflow_available=True)


def examined_runs() -> list[TrainingRun]:
    """Runs whose files are looked at one by one: behind a version in use, and the latest ones."""
    delivered = delivered_runs()
    used = delivered.filter(registry_entry__isnull=False).exclude(
        registry_entry__stage__in=("archived", "deprecated")
    )
    found = {each.pk: each for each in [*used, *delivered.order_by("-pk")[:EXAMINED]]}
    return list(found.values())


HIDDEN = "MLflow hides it from E2I's account, so it cannot be checked."


def is_hidden(row: TrainingRun) -> bool:
    """Whether MLflow hides the experiment of the run from our account."""
    experiment = row.mlflow_experiment
    return experiment is not None and experiment.hidden_since is not None


def with_mlflow(
    context: CheckContext, rows: Iterable[TrainingRun]
) -> Iterator[tuple[TrainingRun, Run | None]]:
    """Each row with its run in MLflow; None when MLflow does not know it."""
    listed = list(rows)
    found = context.mlflow.runs(each.mlflow_run_id for each in listed if each.mlflow_run_id)
    for row in listed:
        yield row, found.get(row.mlflow_run_id or "")


def hidden_runs(run_ids: Iterable[str]) -> set[str]:
    """Those of the runs whose experiment MLflow hides from our account."""
    hidden = TrainingRun.objects.filter(mlflow_experiment__hidden_since__isnull=False)
    found = hidden.filter(mlflow_run_id__in=list(run_ids))
    return {str(each) for each in found.values_list("mlflow_run_id", flat=True)}


def finished_selections() -> QuerySet[Selection]:
    """Selections that came to a choice."""
    return Selection.objects.filter(status=RunStatus.FINISHED).select_related(
        "experiment", "dataset"
    )


def is_run_id(text: str) -> bool:
    """Whether `text` has the form of an id that MLflow gives."""
    return bool(MLFLOW_RUN_ID.fullmatch(text))
