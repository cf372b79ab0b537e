"""Comparisons that every search line shares, whatever it is about."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from typing import Any

from django.db import connection
from django.db.models import ExpressionWrapper, F, Q, QuerySet, TextField
from django.db.models.expressions import Combinable
from django.db.models.lookups import IContains, IExact, In, IsNull
from django.utils import timezone

from training.search import values
from training.search.expressions import JSONText, Like
from training.search.grammar import IS_NOT_NULL, IS_NULL, RUNS, SearchError, Subject, Term

COMPARISONS = {"=": "exact", "<": "lt", "<=": "lte", ">": "gt", ">=": "gte"}
MOST_KEYS = 500
FLAGS = {"yes": True, "true": True, "no": False, "false": False}


def metric_range(term: Term, field: str = "value", subject: Subject = RUNS) -> Q:
    """The term about a metric as a condition on its value, in `field` of RunMetric or a run."""
    if term.op not in (*COMPARISONS, "!="):
        raise wrong(term, f"A metric cannot be compared with {term.op}; there are = != < <= > >=.")
    try:
        limit = values.number(term.value)
    except ValueError as error:
        raise wrong(term, _no_metric(term, str(error), subject)) from None
    return _compared(term, field, limit)


def _no_metric(term: Term, problem: str, subject: Subject) -> str:
    near = get_close_matches(term.name.lower(), subject.attributes, n=1)
    known = f"{near[0]}:" if near else ", ".join(f"{name}:" for name in sorted(subject.names))
    return (
        f"“{term.value}” is no number, so {term.name} cannot be a metric here: {problem}. "
        f"Other filters: {known}, param.{term.name}, tag.{term.name}."
    )


def number(term: Term, field: str) -> Q:
    """The term as a comparison of the numbers in `field`."""
    if term.op not in (*COMPARISONS, "!="):
        raise wrong(term, f"{term.name} is a number; there are = != < <= > >=.")
    try:
        limit = values.number(term.value)
    except ValueError as error:
        raise wrong(term, f"“{term.value}” is no number: {error}.") from None
    if not math.isfinite(limit):  # Django cannot compare it with whole numbers.
        raise wrong(term, f"{term.name} is never infinite; write a number, as in {term.name}>=10.")
    return _compared(term, field, limit)


def _compared(term: Term, field: str, limit: float) -> Q:
    if term.op == "!=":
        return ~Q(**{field: limit})
    return Q(**{f"{field}__{COMPARISONS[term.op]}": limit})


def wrong(term: Term, message: str) -> SearchError:
    """What is wrong with the term, with its place in the line."""
    return SearchError(message, term.start, term.end)


def json_text(column: str, term: Term) -> Q:
    """A parameter or a tag in a JSON column; one that is not there fits nothing but "is null"."""
    if term.op in ("<", "<=", ">", ">="):
        what = column.removesuffix("s")
        raise wrong(
            term,
            f"{what}.{term.name} is text and has no order; there are = != ~ like ilike in. "
            f"Metrics have one: metric.{term.name}{term.op}{term.value}.",
        )
    text = JSONText(column, term.name)
    if term.op in (IS_NULL, IS_NOT_NULL):
        return Q(IsNull(text, term.op == IS_NULL))
    if connection.vendor == "postgresql" and term.op in ("=", "in"):
        # The form that the index over all parameters, or all tags, answers.
        found = Q()
        for value in term.values:
            found |= Q(**{f"{column}__contains": {term.name: value}})
        return found
    return _mentioned(column, term) & compare_text(text, term, exact=True)


def _mentioned(column: str, term: Term) -> Q:
    """What else must be so: the JSON's text has the value in it.

    SQLite has no index for JSON, and looks through a text many times faster than it parses it.
    """
    plain = all(each.isascii() and json.dumps(each) == f'"{each}"' for each in term.values)
    if connection.vendor != "sqlite" or term.op not in ("=", "in") or not plain:
        return Q()
    text = ExpressionWrapper(F(column), output_field=TextField())
    found = Q()
    for value in term.values:
        found |= Q(IContains(text, value))
    return found


def compare_text(text: Combinable, term: Term, *, exact: bool = False) -> Q:
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
    raise wrong(term, f"{term.name} has no order; there are = != ~ like ilike in.")


def column(name: str) -> Callable[[Term], Q]:
    """Compares the text in a column."""
    return lambda term: compare_text(F(name), term)


def choice(field: str, known: Sequence[str]) -> Callable[[Term], Q]:
    """Compares `field`, which holds one of `known`."""

    def compare(term: Term) -> Q:
        wanted = [value.lower() for value in term.values]
        for value in wanted:
            if value not in known:
                raise wrong(term, f"“{value}” is no {term.name}; there are {', '.join(known)}.")
        return one_of(term, Q(**{f"{field}__in": wanted}))

    return compare


def flag(term: Term, found: Q) -> Q:
    """`found` for yes, its contrary for no, everything for any."""
    wanted = term.value.lower()
    if wanted == "any" and term.op == "=":
        return Q()
    if wanted not in FLAGS or term.op not in ("=", "!="):
        name = term.name
        raise wrong(term, f"Write {name}:yes, {name}:no or {name}:any.")
    return found if FLAGS[wanted] == (term.op == "=") else ~found


def one_of(term: Term, found: Q) -> Q:
    """`found`, or its contrary, for a term that compares whole values."""
    if term.op not in ("=", "!=", "in", "not in"):
        raise wrong(term, f"{term.name} cannot be compared with {term.op}; there are = != in.")
    return found if term.op in ("=", "in") else ~found


def few_keys(keys: QuerySet[Any, Any]) -> Any:
    """The keys themselves where they are few: the database then knows how many runs to expect."""
    found = list(keys.order_by()[: MOST_KEYS + 1])
    return found if len(found) <= MOST_KEYS else keys.order_by()


def without_negation(term: Term) -> Term:
    """The term without its negation."""
    op = {"!=": "=", "not in": "in"}.get(term.op, term.op)
    return Term(term.kind, term.name, op, term.values, term.start, term.value_at, term.end)


def moment(field: str) -> Callable[[Term], Q]:
    """Compares the time in `field`."""

    def compare(term: Term) -> Q:
        if term.op not in (*COMPARISONS, "!="):
            raise wrong(term, f"{term.name} is a time; there are = != < <= > >=.")
        try:
            start, end = values.stretch(term.value, timezone.now())
        except ValueError as error:
            raise wrong(term, f"“{term.value}” is no time: {error}.") from None
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
