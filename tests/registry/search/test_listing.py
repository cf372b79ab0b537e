"""Lists of models against a plain Python evaluation of the same search and order."""

from __future__ import annotations

import csv
import io
import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import RequestFactory
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from e2i_site.core.paging import count_up_to, ordered_page
from registry.choices import Stage, StageCause
from registry.model_rows import ModelRow, model_rows, with_versions
from registry.models import RegisteredModel, RegistryEntry, StageChange
from registry.search.conditions import MODELS
from registry.search.listing import MODEL_ORDERS, ModelListing
from tests.factories.audit import FindingFactory
from tests.factories.people import UserFactory
from tests.factories.registry import ModelFactory
from training.models import RunMetric, TrainingRun
from training.search.grammar import parse, printed
from training.search.order import Order

START = datetime(2026, 1, 1, tzinfo=UTC)
pytestmark = pytest.mark.django_db


@pytest.fixture
def rows(db: None) -> list[ModelRow]:
    """Models with holes and ties: versions, stages, aliases that differ, runs, tags."""
    chance = random.Random(3)
    anna = UserFactory(username="anna")
    for number in range(30):
        model = ModelFactory(
            name=f"{chance.choice(('churn', 'Upsell', 'a%b'))}-{number}",
            experiment=None,
            tags=chance.choice(({}, {"owner": "anna"}, {"owner": "Bob", "x": "1"})),
            deleted_in_mlflow=chance.random() < 0.2,
            updated_in_mlflow=chance.choice((None, START, START + timedelta(days=number % 5))),
        )
        for version in range(1, chance.randrange(5)):
            _version(chance, model, version, anna)
        chosen = chance.choice(({}, {"production": "2"}, {"champion": "1"}, {"staging": "1"}))
        RegisteredModel.objects.filter(pk=model.pk).update(aliases=chosen)
    for each in (RegisteredModel.objects.first(), RegistryEntry.objects.last()):
        assert each is not None
        FindingFactory(subject_kind=each._meta.label_lower, subject_key=str(each.pk), priority="P1")
    return model_rows(list(with_versions(RegisteredModel.objects.all())))


def _version(chance: random.Random, model: RegisteredModel, number: int, person: User) -> None:
    run = None
    if chance.random() < 0.7:
        run = TrainingRun.objects.create(
            metrics={"auc": chance.choice((0.5, 0.75))}, params={"lr": chance.choice("12")}
        )
        RunMetric.objects.create(run=run, key="auc", value=run.metrics["auc"])
    taken = set(model.entries.values_list("stage", flat=True)) & {Stage.PRODUCTION, Stage.SHADOW}
    stage = chance.choice([each for each in Stage if each not in taken])
    entry = RegistryEntry.objects.create(
        model=model,
        model_version=number,
        stage=stage,
        training_run=run,
        registered_by=chance.choice((person, None)),
    )
    StageChange.objects.create(
        entry=entry, to_stage=stage, cause=StageCause.PROMOTION, actor=None, at=START
    )


# --- what a search means, in plain Python -----------------------------------------------------


def _auc(row: ModelRow) -> float | None:
    return row.head.metrics.get("auc") if row.head else None


def _lr(row: ModelRow) -> str | None:
    return row.head.params.get("lr") if row.head else None


def _newest(row: ModelRow) -> RegistryEntry | None:
    return row.model.entries.order_by("-model_version").first()


def _is_by_anna(row: ModelRow) -> bool:
    newest = _newest(row)
    return bool(newest and newest.registered_by)


MEANING: dict[str, Any] = {
    "CHURN": lambda row: "churn" in row.model.name,
    "name LIKE '%psell%'": lambda row: "psell" in row.model.name,
    "name ILIKE 'upsell%'": lambda row: row.model.name.startswith("Upsell"),
    "name~%": lambda row: "%" in row.model.name,
    "tags.owner = 'anna'": lambda row: row.model.tags.get("owner") == "anna",
    "tag.owner!=anna": lambda row: row.model.tags.get("owner", "anna") != "anna",
    "stage:production": lambda row: bool(row.places.get("production")),
    "stage in (shadow, staging)": lambda row: bool({"shadow", "staging"} & set(row.places)),
    "stage!=archived": lambda row: not row.model.entries.filter(stage="archived").exists(),
    "alias:champion": lambda row: "champion" in row.model.aliases,
    "alias!=production": lambda row: "production" not in row.model.aliases,
    "drift:yes": lambda row: bool(row.drift),
    "drift:no": lambda row: not row.drift,
    "findings:yes": lambda row: row.findings > 0,
    "findings:P0": lambda row: False,
    "findings:P1": lambda row: row.findings > 0,
    "findings:no": lambda row: not row.findings,
    "policy:default": lambda row: True,
    "policy!=default": lambda row: False,
    "user:Anna": _is_by_anna,
    "user!=anna": lambda row: not _is_by_anna(row),
    "version>=2": lambda row: (row.newest or 0) >= 2,
    "metric.auc>0.6": lambda row: (_auc(row) or 0) > 0.6,
    "auc<=0.5": lambda row: (_auc(row) or 1) <= 0.5,
    "param.lr=1": lambda row: _lr(row) == "1",
    "param.lr is not null": lambda row: _lr(row) is not None,
    "updated>2026-01-02": lambda row: (
        row.model.updated_in_mlflow is not None
        and row.model.updated_in_mlflow >= START + timedelta(days=2)
    ),
    "deleted:no": lambda row: not row.model.deleted_in_mlflow,
    "deleted:any": lambda row: True,
}
KEYS: dict[str, Any] = {
    "name": lambda row: row.model.name,
    "version": lambda row: row.newest,
    "updated": lambda row: row.model.updated_in_mlflow,
    "metric.auc": _auc,
    "param.lr": _lr,
    "tag.owner": lambda row: row.model.tags.get("owner"),
}


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    wanted=st.lists(st.sampled_from(sorted(MEANING)), max_size=2, unique=True),
    sort=st.sampled_from(sorted(KEYS)),
    descending=st.booleans(),
)
def test_pages_hold_what_python_finds(
    rows: list[ModelRow], wanted: list[str], sort: str, descending: bool
) -> None:
    terms = parse(" and ".join(wanted), MODELS)
    assert parse(printed(terms), MODELS) == terms
    listing = ModelListing(
        RegisteredModel.objects.order_by(),
        terms,
        Order.parse(f"{'-' if descending else ''}{sort}", MODEL_ORDERS),
        with_versions(RegisteredModel.objects.all()),
    )
    found = [row for row in rows if all(MEANING[each](row) for each in wanted)]
    expected = [row.model.pk for row in _ordered(found, KEYS[sort], descending)]
    assert _walked(listing) == expected
    assert [model.pk for some in listing.every(7) for model in some] == expected
    assert count_up_to(listing.models).number == len(expected)


def _ordered(found: list[ModelRow], key: Any, descending: bool) -> list[ModelRow]:
    there = [row for row in found if key(row) is not None]
    missing = [row for row in found if key(row) is None]
    there.sort(key=lambda row: (key(row), row.model.pk), reverse=descending)
    missing.sort(key=lambda row: row.model.pk, reverse=descending)
    return [*there, *missing]


def _walked(listing: ModelListing) -> list[int]:
    keys, query = [], {}
    while True:
        page = ordered_page(listing.sections(), RequestFactory().get("/", query), size=11)
        keys += [model.pk for model in page]
        if page.older is None:
            return keys
        query = {"before": page.older}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("stage:beta", "“beta” is no stage; there are development"),
        ("findings:many", "findings:yes, findings:no, or a priority"),
        ("attribute.colour=1", "There is no attribute colour; there are name, stage"),
        ("metric.auc>good", "is no number"),
        ("status:failed", "Other filters: alias:"),
        ("version>=1e999", "version is never infinite"),
    ],
)
def test_a_mistake_says_what_there_is(as_viewer: Any, line: str, said: str) -> None:
    response = as_viewer.get("/registry/", {"q": line})
    assert said in str(response.context["problem"])
    assert as_viewer.get("/registry/models/export/", {"q": line}).status_code == 400


@pytest.mark.parametrize("place", ["inf,1", "nan,1"])
def test_a_place_beyond_all_versions_is_none(as_viewer: Any, place: str) -> None:
    ModelFactory(name="one", experiment=None)
    response = as_viewer.get("/registry/", {"sort": "version", "before": place})
    assert len(response.context["rows"]) == 1


def test_the_export_is_the_page_without_formulas(as_viewer: Any, rows: list[ModelRow]) -> None:
    ModelFactory(name="=cmd()", experiment=None)
    query = {"q": "deleted:no", "sort": "-metric.auc", "columns": "metric.auc,tag.owner"}
    response = as_viewer.get("/registry/models/export/", query)
    text = b"".join(response.streaming_content).decode()
    found = list(csv.DictReader(io.StringIO(text, newline="")))
    shown = as_viewer.get("/registry/", query).context["rows"]
    names = [row.model.name for row, _ in shown]
    assert [row["model"].removeprefix("'") for row in found] == names
    assert any(row["model"] == "'=cmd()" for row in found)
    assert {row["tag.owner"] for row in found} == {"", "anna", "Bob"}
