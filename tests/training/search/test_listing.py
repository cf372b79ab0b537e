"""Lists of runs against a plain Python evaluation of the same search and order."""

from __future__ import annotations

import math
import random
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import RequestFactory
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from e2i_site.core.paging import count_up_to, ordered_page
from tests.factories.people import UserFactory
from tests.factories.training import ExperimentFactory
from training.models import MlflowExperiment, RunMetric, TrainingRun
from training.search import listing
from training.search.grammar import Kind, SearchError, Term, parse, printed
from training.search.listing import RunListing
from training.search.order import Order

KEYS = ("auc", "val auc", "0", 'a"b', "ключ")
TEXTS = ("0.1", "adam", "Adam", "a%b", "x_y", "", "'quoted'", "0.10", "grün", "a\\b")
START = datetime(2026, 1, 1, tzinfo=UTC)
OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "=": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}


def make_runs(count: int) -> list[TrainingRun]:
    """Runs with few different values, so that there are ties, and with holes."""
    chance = random.Random(1)
    experiment = ExperimentFactory(experiment_id="visits")
    theirs = MlflowExperiment.objects.create(mlflow_id="7", name="Theirs")
    hidden = MlflowExperiment.objects.create(mlflow_id="8", name="Hidden", hidden_since=START)
    anna = UserFactory(username="anna")

    def some(values: tuple[Any, ...]) -> dict[str, Any]:
        return {key: chance.choice(values) for key in KEYS if chance.random() < 0.6}

    runs = [
        TrainingRun(
            experiment=chance.choice((experiment, None)),
            mlflow_experiment=chance.choice((theirs, theirs, hidden, None)),
            created_by=chance.choice((anna, None, None)),
            user_name=chance.choice(("anna", "bob", "")),
            run_name=chance.choice(TEXTS),
            algorithm=chance.choice(("LightGBM", "Ridge", "")),
            status=chance.choice(("finished", "failed", "running")),
            source=chance.choice(("e2i", "mlflow")),
            role=chance.choice(("training", "other", "other", "trial")),
            deleted_in_mlflow=chance.random() < 0.2,
            mlflow_run_id=f"{number:032x}",
            params=some(TEXTS),
            tags=some(TEXTS),
            metrics=some((0.5, 0.75, -1.0, 1e300, "NaN", "Infinity", "-Infinity")),
            started_at=chance.choice((None, START, START + timedelta(days=chance.randrange(40)))),
            duration_seconds=chance.choice((None, 1.5, 60.0, 7200.0)),
        )
        for number in range(count)
    ]
    TrainingRun.objects.bulk_create(runs)
    RunMetric.objects.bulk_create(
        RunMetric(run=run, key=key, value=float(value))
        for run in runs
        for key, value in run.metrics.items()
        if value != "NaN"
    )
    return list(TrainingRun.objects.select_related("experiment", "created_by", "mlflow_experiment"))


@pytest.fixture
def runs(db: None, monkeypatch: pytest.MonkeyPatch) -> list[TrainingRun]:
    """Walks are so short that all ways to a page are gone."""
    monkeypatch.setattr(listing, "FIRST_WALK", 6)
    monkeypatch.setattr(listing, "LONGEST_WALK", 60)
    return make_runs(90)


# --- what a search means, in plain Python -----------------------------------------------------


def fits(run: TrainingRun, terms: list[Term]) -> bool:
    named = {term.name for term in terms if term.kind == Kind.ATTRIBUTE}
    if "deleted" not in named and run.deleted_in_mlflow:
        return False
    if "role" not in named and run.role not in ("training", "other"):
        return False
    return all(fits_term(run, term) for term in terms)


def fits_term(run: TrainingRun, term: Term) -> bool:
    if term.kind == Kind.WORD:
        word = term.value.lower()
        places = (run.run_name, run.algorithm, own(run), theirs(run))
        return any(word in place.lower() for place in places) or str(run.mlflow_run_id).startswith(
            term.value
        )
    if term.kind == Kind.METRIC:
        value = float(run.metrics.get(term.name, "nan"))
        return not math.isnan(value) and OPERATORS[term.op](value, float(term.value))
    if term.kind in (Kind.PARAM, Kind.TAG):
        text = getattr(run, f"{term.kind}s").get(term.name)
        if term.op == "is null":
            return text is None
        return text is not None and fits_text(text, term, exact=True)
    if term.name == "user":
        user = run.created_by.username if run.created_by else run.user_name
        return fits_text(user, term)
    if term.name == "experiment":
        positive = Term(term.kind, term.name, {"!=": "="}.get(term.op, term.op), term.values)
        names = [own(run), theirs(run), run.mlflow_experiment_id or ""]
        return any(name and fits_text(name, positive) for name in names) == (term.op != "!=")
    if term.name == "deleted":
        return term.value == "any" or run.deleted_in_mlflow == (term.value == "yes")
    if term.name == "hidden":
        is_hidden = bool(run.mlflow_experiment and run.mlflow_experiment.hidden_since)
        return term.value == "any" or is_hidden == (term.value == "yes")
    if term.name in ("status", "role"):
        return (getattr(run, term.name) in term.values) == (term.op in ("=", "in"))
    if term.name == "duration":
        return run.duration_seconds is not None and OPERATORS[term.op](
            run.duration_seconds, float(term.value.removesuffix("h")) * 3600
        )
    assert term.name == "name"
    return fits_text(run.run_name, term)


def own(run: TrainingRun) -> str:
    return run.experiment.experiment_id if run.experiment else ""


def theirs(run: TrainingRun) -> str:
    return run.mlflow_experiment.name if run.mlflow_experiment else ""


def fits_text(text: str, term: Term, *, exact: bool = False) -> bool:
    values = term.values if exact else tuple(value.lower() for value in term.values)
    compared = text if exact else text.lower()
    if term.op in ("=", "in"):
        return compared in values
    if term.op in ("!=", "not in"):
        return compared not in values
    if term.op == "~":
        return term.value.lower() in text.lower()
    parts = {"%": ".*", "_": "."}
    pattern = "".join(parts.get(letter) or re.escape(letter) for letter in term.value)
    flags = re.DOTALL | (re.IGNORECASE if term.op == "ilike" else 0)
    return re.fullmatch(pattern, text, flags) is not None


def in_order(found: list[TrainingRun], order: Order) -> list[int]:
    """Keys in order: runs without a value last, or first when they wait to start."""

    def value(run: TrainingRun) -> Any:
        if order.kind == Kind.METRIC:
            number = float(run.metrics.get(order.name, "nan"))
            return None if math.isnan(number) else number
        if order.kind in (Kind.PARAM, Kind.TAG):
            return getattr(run, f"{order.kind}s").get(order.name)
        columns = {"started": "started_at", "duration": "duration_seconds", "status": "status"}
        return getattr(run, columns[order.name])

    there = [(value(run), run.pk) for run in found if value(run) is not None]
    missing = sorted((run.pk for run in found if value(run) is None), reverse=order.descending)
    keyed = [pk for _, pk in sorted(there, reverse=order.descending)]
    if order.name == "started" and order.descending:
        return [*missing, *keyed]
    return [*keyed, *missing]


# --- what is searched for ---------------------------------------------------------------------

NUMBERS = st.sampled_from(("0.5", "0.75", "-1", "1e300", "inf", "-inf", "0"))
PATTERNS = st.sampled_from(("%a%", "A%", "%m", "x_y", "a%b", "_", "%", "0.1%", "%%a_%", ""))


@st.composite
def terms(draw: st.DrawFn) -> Term:
    kind = draw(st.sampled_from(list(Kind)))
    if kind == Kind.WORD:
        return Term(kind, "", "", (draw(st.sampled_from(("ada", "visits", "ridge", "a%", "000"))),))
    if kind == Kind.METRIC:
        op = draw(st.sampled_from(tuple(OPERATORS)))
        return Term(kind, draw(st.sampled_from(KEYS)), op, (draw(NUMBERS),))
    if kind in (Kind.PARAM, Kind.TAG):
        if draw(st.integers(0, 4)) == 0:
            return Term(kind, draw(st.sampled_from(KEYS)), "is null", ())
        return draw(text_terms(kind, draw(st.sampled_from(KEYS)), TEXTS))
    name = draw(
        st.sampled_from(
            ("user", "experiment", "name", "deleted", "hidden", "status", "role", "duration")
        )
    )
    if name in ("user", "name"):
        return draw(text_terms(kind, name, ("Anna", "bob", *TEXTS)))
    if name == "experiment":
        value = draw(st.sampled_from(("visits", "theirs", "7", "it")))
        return Term(kind, name, draw(st.sampled_from(("=", "!=", "~"))), (value,))
    if name in ("deleted", "hidden"):
        return Term(kind, name, "=", (draw(st.sampled_from(("yes", "no", "any"))),))
    if name == "duration":
        return Term(kind, name, draw(st.sampled_from(("=", "<", ">="))), ("2h",))
    words = ("finished", "failed") if name == "status" else ("trial", "other")
    return Term(kind, name, draw(st.sampled_from(("in", "not in"))), words)


def text_terms(kind: Kind, name: str, texts: tuple[str, ...]) -> st.SearchStrategy[Term]:
    whole = st.builds(
        lambda op, value: Term(kind, name, op, (value,)),
        st.sampled_from(("=", "!=", "~")),
        st.sampled_from(texts),
    )
    patterns = st.builds(
        lambda op, value: Term(kind, name, op, (value,)),
        st.sampled_from(("like", "ilike")),
        PATTERNS,
    )
    several = st.builds(
        lambda op, values: Term(kind, name, op, tuple(values)),
        st.sampled_from(("in", "not in")),
        st.lists(st.sampled_from(texts), min_size=1, max_size=3),
    )
    return whole | patterns | several


SORTS = st.sampled_from(
    ("started", "duration", "status", "metric.auc", "metric.0", 'metric.a"b', "metric.nobody")
) | st.sampled_from(("param.0", "tag.val auc"))


def walked(found: RunListing, size: int) -> Iterator[list[int]]:
    """Keys of the pages, all the way forward; each page met again on the way back."""
    request = RequestFactory()
    pages, query = [], {}
    while True:
        page = ordered_page(found.sections(), request.get("/", query), size=size)
        pages.append([run.pk for run in page])
        if page.older is None:
            break
        query = {"before": page.older}
    for earlier in reversed(pages[:-1]):
        page = ordered_page(found.sections(), request.get("/", {"after": page.newer}), size=size)
        assert [run.pk for run in page] == earlier
    assert page.newer is None or len(pages) > 1
    yield from pages


SETTINGS = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@SETTINGS
@given(wanted=st.lists(terms(), max_size=3), sort=SORTS, descending=st.booleans())
def test_pages_hold_what_python_finds(
    runs: list[TrainingRun], wanted: list[Term], sort: str, descending: bool
) -> None:
    order = Order.parse(f"{'-' if descending else ''}{sort}")
    found = RunListing(TrainingRun.objects.all(), parse(printed(wanted)), order)
    expected = in_order([run for run in runs if fits(run, wanted)], order)

    assert [pk for page in walked(found, 13) for pk in page] == expected
    assert [run.pk for run in found.every(chunk=10)] == expected
    assert count_up_to(found.runs).number == len(expected)


@SETTINGS
@given(line=st.text("metric.ap>0'\"`=!<:~ (),inlkestrd1-9", max_size=40) | st.text(max_size=40))
def test_any_line_finds_something_or_says_why_not(runs: list[TrainingRun], line: str) -> None:
    try:
        found = RunListing(TrainingRun.objects.all(), parse(line), Order.parse(line))
        sections = found.sections()
    except SearchError as error:
        assert error.message
    else:
        ordered_page(sections, RequestFactory().get("/", {"before": line, "after": line}))


@pytest.mark.parametrize("line", ["hidden:yes", "hidden:no", "hidden!=yes", "hidden:any"])
def test_runs_of_hidden_experiments(runs: list[TrainingRun], line: str) -> None:
    wanted = parse(line)
    found = RunListing(TrainingRun.objects.all(), wanted, Order.parse("name")).runs
    value = "no" if "!" in line else line[7:]
    same = Term(Kind.ATTRIBUTE, "hidden", "=", (value,))
    assert set(found.values_list("pk", flat=True)) == {run.pk for run in runs if fits(run, [same])}


def test_a_count_ends_at_its_bound(runs: list[TrainingRun]) -> None:
    every = TrainingRun.objects.all()
    assert str(count_up_to(every, 89)) == "89+"
    assert str(count_up_to(every, 90)) == "90"


@pytest.mark.parametrize("text", ["x,1", "nan,1", "2026-01-01,1", "0001-01-01T00:00+14:00,1", ",1"])
@pytest.mark.parametrize("sort", ["-started", "metric.auc", "name", "param.0"])
def test_a_position_that_is_none_gives_a_page(
    runs: list[TrainingRun], sort: str, text: str
) -> None:
    found = RunListing(TrainingRun.objects.all(), (), Order.parse(sort))
    for name in ("before", "after"):
        ordered_page(found.sections(), RequestFactory().get("/", {name: text}))
