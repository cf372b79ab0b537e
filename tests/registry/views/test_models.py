"""Models, versions and comparisons."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from e2i_site.jobs.enqueue import enqueue
from e2i_site.jobs.models import Job, JobState
from registry.choices import Stage, StageCause
from registry.model_rows import alias_drift
from registry.models import RegisteredModel, RegistryEntry, StageChange
from registry.views.lineage import lineage
from tests.factories.deployments import DeploymentFactory
from tests.factories.people import UserFactory
from tests.factories.registry import EntryFactory, ModelFactory, PromotionFactory
from tests.factories.training import SelectionFactory, TrainingRunFactory
from tests.registry.views.conftest import SESSION

pytestmark = pytest.mark.django_db
Browser = Callable[[User], Client]


def _text(response: Any) -> str:
    return re.sub(r"\s+", " ", html.unescape(response.content.decode()))


def _put(entry: RegistryEntry, stage: str) -> RegistryEntry:
    RegistryEntry.objects.filter(pk=entry.pk).update(stage=stage)
    StageChange.objects.create(
        entry=entry,
        from_stage=entry.stage,
        to_stage=stage,
        cause=StageCause.PROMOTION,
        at=timezone.now(),
    )
    entry.refresh_from_db()
    return entry


@pytest.mark.parametrize("path", ["", "models/churn/", "models/churn/versions/1/", "policies/"])
def test_anonymous_people_are_sent_to_the_login(client: Client, champion: Any, path: str) -> None:
    response = client.get(f"/registry/{path}")
    assert response.status_code == 302
    assert "login" in response["Location"]


# --- drift ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("aliases", "expected"),
    [
        ({"production": 1}, []),
        ({"production": "1"}, []),
        ({"production": 2}, ["production: v1 here, v2 in MLflow"]),
        ({}, ["production: v1 here, no version in MLflow"]),
        ({"production": 1, "shadow": 3}, []),
        ({"production": 1, "staging": 3}, ["staging: no version here, v3 in MLflow"]),
    ],
)
def test_drift_concerns_only_stages_that_were_used_here(
    champion: RegistryEntry, aliases: dict[str, Any], expected: list[str]
) -> None:
    found = alias_drift(aliases, [champion], {"production", "staging"})
    assert [str(each) for each in found] == expected


def test_the_list_shows_drift_unless_a_job_is_still_carrying(
    browser: Browser, approver: User, model: RegisteredModel
) -> None:
    _put(EntryFactory(model=model), Stage.PRODUCTION)
    RegisteredModel.objects.update(aliases={"production": 7})
    client = browser(approver)
    assert "v1 here, v7 in MLflow" in _text(client.get("/registry/"))
    job = enqueue("registry.carry_stage", subject="model:churn", payload={"model": "churn"})
    Job.objects.filter(pk=job.pk).update(state=JobState.WAITING, message="Waits for MLflow: down")
    text = _text(client.get("/registry/"))
    assert "v7 in MLflow" not in text
    assert "Waits for MLflow" in text


# --- pages ------------------------------------------------------------------------------------


def test_the_list_says_where_versions_are(
    browser: Browser, approver: User, model: RegisteredModel
) -> None:
    _put(EntryFactory(model=model), Stage.PRODUCTION)
    PromotionFactory(entry=EntryFactory(model=model))
    ModelFactory(name="empty")
    response = browser(approver).get("/registry/")
    rows = {row.model.name: row for row, _ in response.context["rows"]}
    assert rows["churn"].versions == 2
    assert [entry.model_version for entry in rows["churn"].places["production"]] == [1]
    assert len(rows["churn"].promotions) == 1
    assert rows["empty"].versions == 0


def test_the_list_is_filtered(browser: Browser, approver: User, champion: RegistryEntry) -> None:
    ModelFactory(name="upsell")
    client = browser(approver)

    def names(**query: str) -> list[str]:
        return [row.model.name for row, _ in client.get("/registry/", query).context["rows"]]

    assert names() == ["churn", "upsell"]
    assert names(name="UPS") == ["upsell"]
    assert names(stage="production") == ["churn"]
    assert "Clear" in _text(client.get("/registry/", {"name": "none"}))


def test_a_models_page(browser: Browser, approver: User, model: RegisteredModel) -> None:
    entry = _put(EntryFactory(model=model), Stage.PRODUCTION)
    text = _text(browser(approver).get(model.get_absolute_url()))
    assert "models:/churn@production" in text
    assert "/#/models/churn" in text
    assert entry.artifact_digest[:8] in text


def test_a_model_with_a_slash_in_its_name(browser: Browser, approver: User) -> None:
    model = ModelFactory(name="team/churn v2")
    entry = EntryFactory(model=model)
    client = browser(approver)
    assert client.get(model.get_absolute_url()).context["model"] == model
    assert client.get(entry.get_absolute_url()).context["entry"] == entry


def test_unknown_models_and_versions_are_404(
    browser: Browser, approver: User, model: RegisteredModel
) -> None:
    client = browser(approver)
    for path in ("models/nothing/", "models/churn/versions/9/", "models/churn/compare/?a=1&b=2"):
        assert client.get(f"/registry/{path}").status_code == 404, path


def test_older_versions_are_a_page_away(
    browser: Browser, approver: User, model: RegisteredModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("registry.queries.VERSIONS_A_PAGE", 2)
    for number in range(1, 6):
        EntryFactory(model=model, model_version=number)
    client = browser(approver)
    seen = []
    url = model.get_absolute_url()
    query: dict[str, Any] = {}
    while True:
        context = client.get(url, query).context
        seen += [entry.model_version for entry in context["entries"]]
        if context["older"] is None:
            break
        query = {"before": context["older"]}
    assert seen == [5, 4, 3, 2, 1]


def test_a_versions_page_offers_the_legal_moves(
    browser: Browser, requester: User, model: RegisteredModel
) -> None:
    entry = EntryFactory(model=model)
    response = browser(requester).get(entry.get_absolute_url())
    assert [(move.stage.value, bool(move.decision)) for move in response.context["moves"]] == [
        ("staging", True),
        ("archived", True),
    ]
    text = _text(browser(UserFactory(roles=["viewer"])).get(entry.get_absolute_url()))
    assert "Your roles do not include requesting promotions." in text


def test_a_version_without_a_run_or_digest_says_so(browser: Browser, approver: User) -> None:
    entry = EntryFactory(training_run=None, artifact_digest="", signature={}, trained_by=None)
    text = _text(browser(approver).get(entry.get_absolute_url()))
    assert "not recorded" in text


def test_a_version_shows_what_people_wrote_of_it(browser: Browser, approver: User) -> None:
    """E2I's own paragraph is for readers of MLflow."""
    entry = EntryFactory(
        description="Trained anew.\n\n<!-- e2i -->\n**E2I**: staging\n<!-- /e2i -->"
    )
    text = _text(browser(approver).get(entry.get_absolute_url()))
    assert "Trained anew." in text
    assert "**E2I**" not in text


# --- lineage ----------------------------------------------------------------------------------


def test_lineage_names_every_link() -> None:
    entry = EntryFactory()
    run = TrainingRunFactory(
        experiment=entry.experiment,
        selection=SelectionFactory(experiment=entry.experiment),
    )
    entry.training_run = run
    entry.save()
    DeploymentFactory(entry=entry)
    drawn = lineage(RegistryEntry.objects.get(pk=entry.pk))
    assert drawn.whole
    assert [node.kind for node in drawn.nodes] == [
        "Data set",
        "Selection",
        "Training run",
        "Version",
        "Deployment",
    ]
    assert len(drawn.edges) == 4
    assert not any(edge.broken for edge in drawn.edges)


def test_lineage_shows_what_is_missing() -> None:
    drawn = lineage(EntryFactory(training_run=None))
    assert not drawn.whole
    assert [node.kind for node in drawn.nodes if node.missing] == [
        "Data set",
        "Selection",
        "Training run",
        "Deployment",
    ]


def test_many_deployments_do_not_burst_the_drawing() -> None:
    entry = EntryFactory()
    for number in range(5):
        DeploymentFactory(entry=entry, endpoint_name=f"endpoint-{number}")
    drawn = lineage(entry)
    assert sum(node.kind == "Deployment" for node in drawn.nodes) == 3
    assert drawn.more == 2
    assert all(0 <= node.y <= drawn.height - 64 for node in drawn.nodes)


# --- comparing --------------------------------------------------------------------------------


def test_comparing_puts_the_choice_in_the_url(
    browser: Browser, approver: User, model: RegisteredModel
) -> None:
    EntryFactory(model=model, hyperparameters={"depth": 3, "rate": 0.1})
    EntryFactory(model=model, hyperparameters={"depth": 9, "rate": 0.1})
    client = browser(approver)
    url = "/registry/models/churn/compare/"
    assert client.get(url)["Location"] == f"{url}?a=1&b=2"
    differences = _text(client.get(url, {"a": 1, "b": 2}))
    assert "depth" in differences and ">rate<" not in differences
    everything = _text(client.get(url, {"a": 1, "b": 2, "all": 1}))
    assert "depth" in everything and "rate" in everything


@pytest.mark.parametrize("query", ["a=x&b=1", "a=1&b=99", "a=²&b=1"])
def test_comparing_what_is_not_there(
    browser: Browser, approver: User, champion: RegistryEntry, query: str
) -> None:
    response = browser(approver).get(f"/registry/models/churn/compare/?{query}")
    assert response.status_code == 404


# --- queries ----------------------------------------------------------------------------------


@pytest.fixture
def crowd(model: RegisteredModel) -> RegisteredModel:
    for _ in range(4):
        entry = EntryFactory(model=model)
        DeploymentFactory(entry=entry, endpoint_name=f"churn-{entry.pk}")
        PromotionFactory(entry=entry, gates=["pass"])
    RegisteredModel.objects.update(synced_at=timezone.now() - timedelta(seconds=40))
    return model


@pytest.mark.parametrize(
    ("path", "count"),
    [
        ("", 4),
        # Its policy is found in Python, and models without the metric are a section of their own.
        ("?q=policy:light+drift:no&sort=-metric.auc", 7),
        ("models/churn/", 6),
        ("models/churn/versions/1/", 6),
        ("models/churn/compare/?a=1&b=2", 3),
        ("policies/", 3),
        ("policies/light/1/", 5),
    ],
)
def test_queries(
    browser: Browser,
    approver: User,
    crowd: RegisteredModel,
    path: str,
    count: int,
    counting: None,
    django_assert_num_queries: Any,
) -> None:
    client = browser(approver)
    with django_assert_num_queries(SESSION + count):
        assert client.get(f"/registry/{path}").status_code == 200
