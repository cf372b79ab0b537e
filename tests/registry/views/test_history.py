"""Which version was where at any moment: replayed, on the page, in the API, as a command."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deployments.choices import DeploymentStatus
from e2i_site.core.errors import InvalidInput
from e2i_site.core.moments import in_address, past_moment
from e2i_site.trail.models import TrailEntry
from registry.actions.stages import change_stage
from registry.choices import ALLOWED_PROMOTIONS, Stage, StageCause
from registry.history import stages_at
from registry.models import RegisteredModel, RegistryEntry, StageChange
from tests.factories.deployments import DeploymentFactory
from tests.factories.people import UserFactory
from tests.factories.registry import EntryFactory, ModelFactory, PromotionFactory, ReviewFactory
from tests.registry.views.conftest import SESSION

pytestmark = pytest.mark.django_db
START = datetime(2026, 3, 1, tzinfo=UTC)
Browser = Callable[[User], Client]


def put(
    entry: RegistryEntry, stage: str, at: datetime, came: str = "", **fields: Any
) -> StageChange:
    """The rows that a change leaves behind, at a moment of the test's choice."""
    cause = fields.pop("cause", StageCause.PROMOTION if came else StageCause.REGISTERED)
    return StageChange.objects.create(
        entry=entry, from_stage=came, to_stage=stage, at=at, cause=cause, **fields
    )


# --- any moment, against a replay -------------------------------------------------------------

# (version, which way on, seconds since the change before: 0 is the same instant)
STEPS = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 1), st.integers(0, 2)), min_size=1, max_size=14
)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(steps=STEPS)
def test_at_every_moment_the_answer_is_the_replayed_one(steps: list[tuple[int, int, int]]) -> None:
    model = ModelFactory()
    entries = [EntryFactory(model=model, training_run=None) for _ in range(3)]
    states: list[tuple[datetime, dict[int, str]]] = []
    now, stages = START, dict.fromkeys((1, 2, 3), "")

    def move(number: int, to: str, cause: str) -> None:
        put(entries[number - 1], to, now, stages[number], cause=cause)
        stages[number] = to
        states.append((now, dict(stages)))

    for version, way, seconds in steps:
        now += timedelta(seconds=seconds)
        number = version + 1
        if not stages[number]:
            move(number, Stage.DEVELOPMENT, StageCause.REGISTERED)
            continue
        onward = ALLOWED_PROMOTIONS[stages[number]]
        if not onward:
            continue
        to = onward[way % len(onward)]
        for other in (each for each in stages if to == Stage.PRODUCTION and stages[each] == to):
            move(other, Stage.ARCHIVED, StageCause.SUCCESSOR)
        move(number, to, StageCause.PROMOTION)

    moments = {at + timedelta(microseconds=shift) for at, _ in states for shift in (-1, 0, 1)}
    for moment in moments:
        expected: dict[int, str] = {}
        for at, state in states:
            if at <= moment:
                expected = {number: stage for number, stage in state.items() if stage}
        snapshot = stages_at(moment, model.name)
        found = {place.entry.model_version: place.stage for place in snapshot.places}
        assert found == expected
        assert len(snapshot.in_stage(Stage.PRODUCTION)) <= 1


def test_what_served_follows_activation_successor_rollback_and_stop() -> None:
    model = ModelFactory()
    first, second = (EntryFactory(model=model, training_run=None) for _ in range(2))
    hour = timedelta(hours=1)
    before = DeploymentFactory(
        entry=first, deployed_at=START, status=DeploymentStatus.STOPPED,
        deactivated_at=START + 3 * hour,
    )  # fmt: skip
    DeploymentFactory(
        entry=second, deployed_at=START + hour, status=DeploymentStatus.ROLLED_BACK,
        previous_deployment=before, rolled_back_at=START + 2 * hour,
        deactivated_at=START + 2 * hour,
    )  # fmt: skip
    DeploymentFactory(
        entry=second, strategy="shadow", deployed_at=START, deactivated_at=START + hour,
        status=DeploymentStatus.RETIRED,
    )  # fmt: skip

    def serving(hours: float) -> set[tuple[int, str]]:
        found = stages_at(START + hours * hour, model.name).serving
        return {(each.version, each.strategy) for each in found}

    assert serving(-0.1) == set()
    assert serving(0.5) == {(1, "blue_green"), (2, "shadow")}
    assert serving(1.5) == {(2, "blue_green")}
    assert serving(2.5) == {(1, "blue_green")}
    assert serving(3) == set()


# --- what counts as a moment --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-03-01", START),
        ("2026-03-01T00:00Z", START),
        (" 2026-03-01 00:00 ", START),
        ("2026-03-01T01:00+01:00", START),
    ],
)
def test_a_moment_is_utc_unless_it_has_a_zone(text: str, expected: datetime) -> None:
    assert past_moment(text) == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is no moment"),
        ("yesterday", "“yesterday” is no moment"),
        ("2026-13-01", "is no moment"),
        ("0001-01-01T00:00+14:00", "is no moment"),
        ("2026-03-01T12:00 01:00", "written %2B"),
        ("2999-01-01", "2999-01-01 00:00:00 UTC is yet to come"),
    ],
)
def test_what_is_no_past_moment_is_said(text: str, words: str) -> None:
    with pytest.raises(InvalidInput, match=words) as raised:
        past_moment(text)
    assert raised.value.field == "at"


# --- the page, the API and the command ----------------------------------------------------------


@pytest.fixture
def model() -> RegisteredModel:
    """v1 into production by a signed promotion; v2 takes its place an hour later."""
    model = ModelFactory(name="churn")
    first, second = EntryFactory(model=model), EntryFactory(model=model, stage=Stage.PRODUCTION)
    asked = PromotionFactory(
        entry=first, from_stage="shadow", to_stage="production", gates=["pass", "pass"],
        state="applied",
    )  # fmt: skip
    reviewer = UserFactory(username="rosa")
    ReviewFactory(promotion=asked, decision="approve", signer_name="Rosa Diaz", reviewer=reviewer)
    ReviewFactory(promotion=asked, decision="approve", signer_name="Void", void_reason="Changed.")
    put(first, Stage.PRODUCTION, START, "shadow", promotion=asked)
    put(second, Stage.DEVELOPMENT, START)
    later = START + timedelta(hours=1)
    put(first, Stage.ARCHIVED, later, "production", cause=StageCause.SUCCESSOR)
    put(second, Stage.PRODUCTION, later, "shadow")
    DeploymentFactory(entry=first, deployed_at=START, deactivated_at=later, status="retired")
    return model


def _text(response: Any) -> str:
    return re.sub(r"\s+", " ", html.unescape(response.content.decode()))


def test_the_page_shows_the_past_and_marks_it(
    browser: Browser,
    counting: None,
    model: RegisteredModel,
) -> None:
    client = browser(UserFactory(roles=["viewer"]))
    with CaptureQueriesContext(
        connection,
    ) as queries:
        response = client.get("/registry/models/churn/?at=2026-03-01T00:30Z")
    assert len(queries) - SESSION <= 8
    text = _text(response)
    assert "As it was at 2026-03-01 00:30:00 UTC." in text
    assert 'href="/registry/models/churn/">back to now' in text
    assert "Rosa Diaz" in text
    assert "Void" not in text
    assert "2 passed" in text
    assert "Production, blue-green" in text
    track = {s.value: [p.entry.model_version for p in at] for s, at in
             response.context["snapshot"].track}  # fmt: skip
    assert track["production"] == [1]
    assert track["development"] == [2]
    assert [each.version for each in response.context["snapshot"].serving] == [1]


def test_each_change_leads_to_its_moment_its_promotion_and_its_trail_entry(
    browser: Browser,
    model: RegisteredModel,
) -> None:
    entry = EntryFactory(model=model)
    change_stage(
        entry=entry, to_stage=Stage.STAGING, cause=StageCause.PROMOTION, actor=None, reason="Go.",
        promotion=PromotionFactory(entry=entry, state="applied"),
    )  # fmt: skip
    change = StageChange.objects.latest("pk")
    kept = TrailEntry.objects.get(event="registry.version.stage_changed")
    for page in ("", "versions/3/"):
        text = _text(browser(UserFactory(roles=["viewer"])).get(f"/registry/models/churn/{page}"))
        assert f"?at={in_address(change.at)}" in text
        assert f'href="/registry/promotions/{change.promotion_id}/">Promotion<' in text
        assert f'href="/trail/{kept.pk}/">Trail<' in text


@pytest.mark.parametrize(("at", "words"), [("soon", "“soon” is no moment"), ("2999", "no moment"),
                                           ("2999-01-01", "is yet to come")])  # fmt: skip
def test_a_wrong_moment_is_said_beside_the_field(
    browser: Browser,
    model: RegisteredModel,
    at: str,
    words: str,
) -> None:
    response = browser(UserFactory(roles=["viewer"])).get("/registry/models/churn/", {"at": at})
    assert response.status_code == 400
    text = _text(response)
    assert words in text
    assert f'value="{at}"' in text
    assert 'aria-describedby="id_at_error"' in text


def test_the_api_answers_for_a_moment(browser: Browser, model: RegisteredModel) -> None:
    client = browser(UserFactory(roles=["viewer"]))
    url = "/api/v1/models/churn/stages/"
    second, first = client.get(url, {"at": "2026-03-01T00:30Z"}).json()["versions"]
    assert (first["version"], first["stage"], first["cause"]) == (1, "production", "promotion")
    assert [each["signer_name"] for each in first["promotion"]["approvals"]] == ["Rosa Diaz"]
    assert {gate["outcome"] for gate in first["promotion"]["gates"]} == {"pass"}
    assert first["promotion"]["break_glass_by"] is None
    assert (second["stage"], second["promotion"]) == ("development", None)
    now = client.get(url).json()
    assert [each["stage"] for each in now["versions"]] == ["production", "archived"]
    assert now["serving"] == []
    refused = client.get(url, {"at": "2999-01-01"})
    assert refused.status_code == 400
    assert refused.json()["errors"][0]["field"] == "at"
    assert client.get("/api/v1/models/none/stages/").status_code == 404


def test_the_command_says_the_same(
    browser: Browser,
    model: RegisteredModel,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def run(*arguments: str) -> str:
        out = StringIO()
        call_command("stages", *arguments, stdout=out)
        return out.getvalue()

    printed = run("churn", "--at", "2026-03-01T00:30Z")
    assert "churn v1: production since 2026-03-01 00:00:00 UTC" in printed
    assert "allowed by Rosa Diaz; 2 passed" in printed
    assert "served: churn (production, blue_green) by churn v1" in printed
    assert "v2" not in run("--at", "2026-03-01T00:30Z")
    at = {"at": "2026-03-01T00:30Z"}
    client = browser(UserFactory(roles=["viewer"]))
    answer = client.get("/api/v1/models/churn/stages/", at).json()
    assert json.loads(run("churn", "--json", "--at", at["at"])) == answer
    for wrong in (["none"], ["churn", "--at", "soon"]):
        with pytest.raises(SystemExit) as stopped:
            run(*wrong)
        assert stopped.value.code == 1
