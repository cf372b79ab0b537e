"""What the terms of a search line mean to the database."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from difflib import get_close_matches
from typing import Any

from django.contrib.auth.models import User
from django.db import connection
from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.db.models.expressions import Combinable
from django.db.models.lookups import IContains, IExact, In
from django.utils import timezone

from training.choices import RunRole, RunSource, RunStatus
from training.models import Experiment, MlflowExperiment, RunMetric, TrainingRun
from training.search import values
from training.search.expressions import JSONText, Like
from training.search.grammar import ATTRIBUTES, Kind, SearchError, Term

_COMPARISONS = {"=": "exact", "<": "lt", "<=": "lte", ">": "gt", ">=": "gte"}
MOST_KEYS = 500
_FLAGS = {"yes": True, "true": True, "no": False, "false": False}


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
            return _json(f"{term.kind}s", term)
        case _:
            return _ATTRIBUTES[term.name](term)


def metric_range(term: Term, field: str = "value") -> Q:
    """The term about a metric as a condition on its value, in `field` of RunMetric or a run."""
    if term.op not in (*_COMPARISONS, "!="):
        raise _wrong(term, f"A metric cannot be compared with {term.op}; there are = != < <= > >=.")
    try:
        limit = values.number(term.value)
    except ValueError as error:
        raise _wrong(term, _no_metric(term, str(error))) from None
    if term.op == "!=":
        return ~Q(**{field: limit})
    return Q(**{f"{field}__{_COMPARISONS[term.op]}": limit})


def _no_metric(term: Term, problem: str) -> str:
    near = get_close_matches(term.name.lower(), ATTRIBUTES, n=1)
    known = (
        f"{near[0]}:"
        if near
        else ", ".join(f"{name}:" for name in sorted(set(ATTRIBUTES.values())))
    )
    return (
        f"“{term.value}” is no number, so {term.name} cannot be a metric here: {problem}. "
        f"Other filters: {known}, param.{term.name}, tag.{term.name}."
    )


def _wrong(term: Term, message: str) -> SearchError:
    return SearchError(message, term.start, term.end)


def _word(word: str) -> Q:
    return (
        Q(run_name__icontains=word)
        | Q(mlflow_run_id__startswith=word)
        | Q(algorithm__icontains=word)
        | Q(experiment__experiment_id__icontains=word)
        | Q(mlflow_experiment__name__icontains=word)
    )


def _json(column: str, term: Term) -> Q:
    """A parameter or a tag; one that a run does not have fits nothing."""
    if term.op in ("<", "<=", ">", ">="):
        what = column.removesuffix("s")
        raise _wrong(
            term,
            f"{what}.{term.name} is text and has no order; there are = != ~ like ilike in. "
            f"Metrics have one: metric.{term.name}{term.op}{term.value}.",
        )
    text = JSONText(column, term.name)
    if connection.vendor == "postgresql" and term.op in ("=", "in"):
        # The form that the index over all parameters, or all tags, answers.
        found = Q()
        for value in term.values:
            found |= Q(**{f"{column}__contains": {term.name: value}})
        return found
    return _text(text, term, exact=True)


def _text(text: Combinable, term: Term, *, exact: bool = False) -> Q:
    """A text compared; without `exact`, capitals do not count for = and in."""
    match term.op:
        case "=" | "!=" | "in" | "not in":
            if exact:
                found = Q(In(text, list(term.values)))
            else:
                found = Q()
                for value in term.values:
                    found |= Q(IExact(text, value))
            return ~found if term.op in ("!=", "not in") else found
        case "~":
            return Q(IContains(text, term.value))
        case "like":
            return Q(Like(text, term.value))
        case "ilike":
            return Q(Like(text, term.value, any_case=True))
    raise _wrong(term, f"{term.name} has no order; there are = != ~ like ilike in.")


def _column(name: str) -> Callable[[Term], Q]:
    return lambda term: _text(F(name), term)


def _choice(field: str, known: Sequence[str]) -> Callable[[Term], Q]:
    def compare(term: Term) -> Q:
        wanted = [value.lower() for value in term.values]
        for value in wanted:
            if value not in known:
                raise _wrong(term, f"“{value}” is no {term.name}; there are {', '.join(known)}.")
        return _one_of(term, Q(**{f"{field}__in": wanted}))

    return compare


def _one_of(term: Term, found: Q) -> Q:
    """`found`, or its contrary, for a term that compares whole values."""
    if term.op not in ("=", "!=", "in", "not in"):
        raise _wrong(term, f"{term.name} cannot be compared with {term.op}; there are = != in.")
    return found if term.op in ("=", "in") else ~found


def _role(term: Term) -> Q:
    if term.op == "=" and term.value.lower() == "any":
        return Q()
    return _choice("role", RunRole.values)(term)


def _deleted(term: Term) -> Q:
    wanted = term.value.lower()
    if wanted == "any" and term.op == "=":
        return Q()
    if wanted not in _FLAGS or term.op not in ("=", "!="):
        raise _wrong(term, "Write deleted:yes, deleted:no or deleted:any.")
    return Q(deleted_in_mlflow=_FLAGS[wanted] == (term.op == "="))


def _run(term: Term) -> Q:
    """Our number, or MLflow's id or the start of it."""
    found = Q()
    for value in term.values:
        found |= Q(mlflow_run_id__startswith=value)
        if value.isascii() and value.isdecimal() and len(value) < 19:
            found |= Q(pk=int(value))
    return _one_of(term, found)


def _user(term: Term) -> Q:
    """The person here who started it; the name that MLflow has, where that was nobody here."""
    people = _keys(
        User.objects.filter(_text(F("username"), _plain(term))).values_list("pk", flat=True)
    )
    others = Q(created_by=None) & _text(F("user_name"), _plain(term))
    found = Q(created_by__in=people) | others
    return ~found if term.op in ("!=", "not in") else found


def _experiment(term: Term) -> Q:
    """E2I's experiment, or MLflow's by name or id."""
    asked = _plain(term)
    ours = Experiment.objects.filter(_text(F("experiment_id"), asked))
    theirs = MlflowExperiment.objects.filter(_text(F("name"), asked) | _text(F("mlflow_id"), asked))
    found = Q(experiment__in=_keys(ours.values_list("pk", flat=True))) | Q(
        mlflow_experiment__in=_keys(theirs.values_list("mlflow_id", flat=True))
    )
    return ~found if term.op in ("!=", "not in") else found


def _keys(keys: QuerySet[Any, Any]) -> Any:
    """The keys themselves where they are few: the database then knows how many runs to expect."""
    found = list(keys.order_by()[: MOST_KEYS + 1])
    return found if len(found) <= MOST_KEYS else keys.order_by()


def _plain(term: Term) -> Term:
    """The term without its negation."""
    op = {"!=": "=", "not in": "in"}.get(term.op, term.op)
    return Term(term.kind, term.name, op, term.values, term.start, term.value_at, term.end)


def _time(field: str) -> Callable[[Term], Q]:
    def compare(term: Term) -> Q:
        if term.op not in (*_COMPARISONS, "!="):
            raise _wrong(term, f"{term.name} is a time; there are = != < <= > >=.")
        try:
            start, end = values.stretch(term.value, timezone.now())
        except ValueError as error:
            raise _wrong(term, f"“{term.value}” is no time: {error}.") from None
        inside = Q(**{f"{field}__gte": start, f"{field}__lt": end})
        return {
            "=": inside,
            "!=": ~inside,
            "<": Q(**{f"{field}__lt": start}),
            "<=": Q(**{f"{field}__lt": end}),
            ">": Q(**{f"{field}__gte": end}),
            ">=": Q(**{f"{field}__gte": start}),
        }[term.op]

    return compare


def _duration(term: Term) -> Q:
    if term.op not in (*_COMPARISONS, "!="):
        raise _wrong(term, "duration is a length of time; there are = != < <= > >=.")
    try:
        length = values.seconds(term.value)
    except ValueError as error:
        raise _wrong(term, f"“{term.value}” is no length of time: {error}.") from None
    if term.op == "!=":
        return ~Q(duration_seconds=length)
    return Q(**{f"duration_seconds__{_COMPARISONS[term.op]}": length})


_ATTRIBUTES: dict[str, Callable[[Term], Q]] = {
    "name": _column("run_name"),
    "algorithm": _column("algorithm"),
    "framework": _column("framework"),
    "run": _run,
    "experiment": _experiment,
    "status": _choice("status", RunStatus.values),
    "source": _choice("source", RunSource.values),
    "role": _role,
    "user": _user,
    "started": _time("started_at"),
    "ended": _time("completed_at"),
    "duration": _duration,
    "deleted": _deleted,
}
