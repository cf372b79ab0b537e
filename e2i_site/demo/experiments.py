"""The two modelling questions of the demo, and what is asked of selector and trainer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from e2i_site.core.errors import E2IError
from e2i_site.demo.work import StepFailed, finish, settle
from registry.models import RegistryEntry
from training.actions.create_experiment import create_experiment
from training.actions.import_dataset import import_shipped
from training.actions.request_selection import request_selection
from training.actions.request_training import request_training
from training.choices import UNFINISHED_RUN, RunRole, RunStatus
from training.models import Experiment, Selection, TrainingRun

if TYPE_CHECKING:
    from django.contrib.auth.models import User

SELECT_SECONDS = 180.0
TRAIN_SECONDS = 240.0


@dataclass(frozen=True)
class Ask:
    """`trials` of HPO; `balancing` as in `request_training`."""

    trials: int
    balancing: str = ""


@dataclass(frozen=True)
class Question:
    """`trainings` are what is asked of model_trainer for version 1, version 2, …"""

    slug: str
    name: str
    description: str
    location: str
    dataset: str
    target: str
    minimum_auc: float
    trainings: tuple[Ask, ...]


# A first version is often balanced by habit, which distorts its probabilities; without it the
# second is better on every split.
ANY_VISIT = Question(
    slug="any-visit",
    name="Any visit to a physician within a year",
    description="Who sees a physician at least once in the year?",
    location="randhie",
    dataset="rand-any-visit",
    target="any_visit = mdvis > 0",
    minimum_auc=0.6,
    trainings=(Ask(trials=2, balancing="smote"), Ask(trials=12)),
)
BREAST_CANCER = Question(
    slug="breast-cancer",
    name="Benign or malignant",
    description="Is the tumour benign, by measurements of its cell nuclei?",
    location="breast_cancer",
    dataset="breast-cancer-wisconsin",
    target="benign",
    minimum_auc=0.95,
    trainings=(Ask(trials=5),),
)


def ensure_experiment(question: Question, actor: User) -> Experiment:
    """The experiment and its data set, made where they are missing."""
    known = Experiment.objects.filter(experiment_id=question.slug).first()
    if known is not None:
        return known
    dataset = import_shipped(
        actor=actor,
        name=question.dataset,
        location=question.location,
        target=question.target,
        description=question.description,
    )
    return create_experiment(
        actor=actor,
        experiment_id=question.slug,
        name=question.name,
        description=question.description,
        dataset=dataset,
        criteria={"minimum_auc": question.minimum_auc},
    )


def select(question: Question, actor: User) -> str:
    """Run model_selector once; returns what it chose."""
    experiment = Experiment.objects.get(experiment_id=question.slug)
    usable = (RunStatus.SCHEDULED, RunStatus.RUNNING, RunStatus.FINISHED)
    selection = Selection.objects.filter(experiment=experiment, status__in=usable).first()
    if selection is None:
        selection = request_selection(actor=actor, experiment=experiment, folds=3)
    if selection.status != RunStatus.FINISHED and selection.job is not None:
        finish(selection.job, timeout=SELECT_SECONDS)
    selection.refresh_from_db()
    if selection.status != RunStatus.FINISHED:
        raise StepFailed(f"{selection} {selection.status}: {selection.error_message}")
    return f"{selection.selected_algorithm} chosen"


def train(question: Question, version: int, actor: User) -> str:
    """Train until the experiment has `version` versions; returns the metric of the last one."""
    experiment = Experiment.objects.get(experiment_id=question.slug)
    if not _registered(question, version):
        ask = question.trainings[version - 1]
        run = _unfinished(experiment) or request_training(
            actor=actor,
            experiment=experiment,
            algorithm=_algorithm(question, version),
            trials=ask.trials,
            balancing=ask.balancing,
        )
        if run.job is not None:
            finish(run.job, timeout=TRAIN_SECONDS)
        run.refresh_from_db()
        if run.status != RunStatus.FINISHED:
            raise StepFailed(f"{run} {run.status}: {run.error_message}")
        # What is still to be delivered to MLflow is a job of its own.
        settle(timeout=TRAIN_SECONDS)
    entry = _registered(question, version)
    if entry is None or entry.training_run is None:
        raise StepFailed(f"No version {version} of {question.slug} was registered.")
    run = entry.training_run
    value = run.test_metrics.get(run.primary_metric)
    shown = "not measured" if value is None else f"{value:.4f}"
    return f"{entry}: {run.primary_metric} {shown} on the test split"


def held_out_rows(entry: RegistryEntry) -> tuple[list[str], list[list[Any]]]:
    """Feature names and the rows of the holdout split, which nothing was fitted on."""
    from training import datasets
    from training.pipeline import splits
    from training.pipeline.types import Split

    run = entry.training_run
    if run is None or run.dataset is None:
        raise E2IError(f"{entry} has no run with a data set.")
    table = datasets.load(run.dataset)
    rows = splits.split(table, seed=run.split.seed)[Split.HOLDOUT]
    frame = table.take(rows)
    return list(frame.columns), frame.to_numpy().tolist()


def _registered(question: Question, version: int) -> RegistryEntry | None:
    return RegistryEntry.objects.filter(
        experiment__experiment_id=question.slug, model_version=version
    ).first()


def _algorithm(question: Question, version: int) -> str:
    """Later versions keep the algorithm of the first: they are versions of the same model."""
    first = _registered(question, 1) if version > 1 else None
    return first.algorithm if first else ""


def _unfinished(experiment: Experiment) -> TrainingRun | None:
    """A training that was asked for and is under way; the mirror's rows of other runs are not."""
    waiting = TrainingRun.objects.filter(experiment=experiment, status__in=UNFINISHED_RUN)
    return waiting.filter(role=RunRole.TRAINING, job__isnull=False).first()
