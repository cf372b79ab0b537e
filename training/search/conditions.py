"""What the terms of a search line over runs mean to the database."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from django.contrib.auth.models import User
from django.db.models import Exists, F, OuterRef, Q, QuerySet

from training.choices import RunRole, RunSource, RunStatus
from training.models import Experiment, MlflowExperiment, RunMetric, TrainingRun
from training.search import values
from training.search.comparisons import (
    COMPARISONS,
    choice,
    column,
    compare_text,
    few_keys,
    flag,
    json_text,
    metric_range,
    moment,
    one_of,
    without_negation,
    wrong,
)
from training.search.grammar import Kind, Term


def narrow(runs: QuerySet[TrainingRun], terms: Sequence[Term]) -> QuerySet[TrainingRun]:
    """Runs that fit all terms; SearchError, with its place, for a term that means nothing.

    What people do not ask for stays out: runs that MLflow deleted, trials and the like.
    """
    named = {term.name for term in terms if term.kind == Kind.ATTRIBUTE}
    if "deleted" not in named:
        runs = runs.filter(deleted_in_mlflow=False)
    if "role" not in named:
        runs = runs.filter(role__in=(RunRole.TRAINING, RunRole.OTHER))
    return runs.filter(*(condition(term) for term in terms))


def condition(term: Term) -> Q:
    """One term as a condition on TrainingRun."""
    match term.kind:
        case Kind.WORD:
            return _word(term.value)
        case Kind.METRIC:
            rows = RunMetric.objects.filter(metric_range(term), run=OuterRef("pk"), key=term.name)
            return Q(Exists(rows))
        case Kind.PARAM | Kind.TAG:
            return json_text(f"{term.kind}s", term)
        case _:
            return _ATTRIBUTES[term.name](term)


def _word(word: str) -> Q:
    return (
        Q(run_name__icontains=word)
        | Q(mlflow_run_id__startswith=word)
        | Q(algorithm__icontains=word)
        | Q(experiment__experiment_id__icontains=word)
        | Q(mlflow_experiment__name__icontains=word)
    )


def _role(term: Term) -> Q:
    if term.op == "=" and term.value.lower() == "any":
        return Q()
    return choice("role", RunRole.values)(term)


def _deleted(term: Term) -> Q:
    return flag(term, Q(deleted_in_mlflow=True))


def _hidden(term: Term) -> Q:
    """Runs of experiments that MLflow does not show to E2I's account."""
    hidden = MlflowExperiment.objects.exclude(hidden_since=None)
    return flag(term, Q(mlflow_experiment__in=few_keys(hidden.values_list("mlflow_id", flat=True))))


def _run(term: Term) -> Q:
    """Our number, or MLflow's id or the start of it."""
    found = Q()
    for value in term.values:
        found |= Q(mlflow_run_id__startswith=value)
        if value.isascii() and value.isdecimal() and len(value) < 19:
            found |= Q(pk=int(value))
    return one_of(term, found)


def _user(term: Term) -> Q:
    """The person here who started it; the name that MLflow has, where that was nobody here."""
    people = few_keys(
        User.objects.filter(compare_text(F("username"), without_negation(term))).values_list(
            "pk", flat=True
        )
    )
    others = Q(created_by=None) & compare_text(F("user_name"), without_negation(term))
    found = Q(created_by__in=people) | others
    return ~found if term.op in ("!=", "not in") else found


def _experiment(term: Term) -> Q:
    """E2I's experiment, or MLflow's by name or id."""
    asked = without_negation(term)
    ours = Experiment.objects.filter(compare_text(F("experiment_id"), asked))
    theirs = MlflowExperiment.objects.filter(
        compare_text(F("name"), asked) | compare_text(F("mlflow_id"), asked)
    )
    found = Q(experiment__in=few_keys(ours.values_list("pk", flat=True))) | Q(
        mlflow_experiment__in=few_keys(theirs.values_list("mlflow_id", flat=True))
    )
    return ~found if term.op in ("!=", "not in") else found


def _duration(term: Term) -> Q:
    if term.op not in (*COMPARISONS, "!="):
        raise wrong(term, "duration is a length of time; there are = != < <= > >=.")
    try:
        length = values.seconds(term.value)
    except ValueError as error:
        raise wrong(term, f"“{term.value}” is no length of time: {error}.") from None
    if term.op == "!=":
        return ~Q(duration_seconds=length)
    return Q(**{f"duration_seconds__{COMPARISONS[term.op]}": length})


_ATTRIBUTES: dict[str, Callable[[Term], Q]] = {
    "name": column("run_name"),
    "algorithm": column("algorithm"),
    "framework": column("framework"),
    "run": _run,
    "experiment": _experiment,
    "status": choice("status", RunStatus.values),
    "source": choice("source", RunSource.values),
    "role": _role,
    "user": _user,
    "started": moment("started_at"),
    "ended": moment("completed_at"),
    "duration": _duration,
    "deleted": _deleted,
    "hidden": _hidden,
}
