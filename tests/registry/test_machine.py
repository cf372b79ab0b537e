"""The whole promotion machine, through its real actions, against a model of a few lines.

Hypothesis plays people who request, approve, reject, withdraw, roll out and roll back in any
order; then threads do the same at once. Whatever they do: one production version a model, no
approval of one's own, no decision without a trail entry, no stage that does not follow.
"""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test as play

from deployments.actions.finish_rollout import activate, fail_rollout
from deployments.models import Deployment
from e2i_site.core.errors import Conflict, E2IError, Refused
from registry.actions.request_promotion import request_promotion
from registry.actions.restore_version import restore_version
from registry.actions.review_promotion import review_promotion
from registry.actions.withdraw_promotion import withdraw_promotion
from registry.models import Promotion, StageChange
from registry.policies import ways_on
from tests.factories.people import PASSWORD
from tests.registry.machine import PEOPLE, VERSIONS, Machine, World, check_record, make_world

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("quiet_broker")]


@pytest.fixture
def world(db: None) -> World:
    return make_world()


def test_no_order_of_acts_breaks_it(world: World) -> None:
    class Bound(Machine):
        pass

    Bound.world = world
    play(
        Bound,
        settings=settings(
            max_examples=15, stateful_step_count=25, deadline=None, database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )  # fmt: skip


@pytest.mark.django_db(transaction=True)
def test_people_who_race_do_not_break_it(world: World) -> None:
    """Fifty acts at once, again and again; on SQLite fewer, for it writes one at a time."""
    at_once, threads = (50, 10) if connection.vendor == "postgresql" else (20, 4)
    chance = random.Random(4)
    to_production = StageChange.objects.filter(to_stage="production")
    # Withdrawals can keep it from production for a dozen storms, by chance; hardly for so many.
    for storm in range(60):
        acts = [(world, chance.choice(ACTS), chance.random()) for _ in range(at_once)]
        with ThreadPoolExecutor(threads) as pool:
            unexpected = [fault for fault in pool.map(lambda act: _act(*act), acts) if fault]
        assert not unexpected
        check_record(world)
        if storm >= 2 and to_production.exists():
            return
    raise AssertionError("Nothing reached production; the storms prove little.")


def _ask(world: World, chance: random.Random) -> None:
    entry = world.version(chance.choice(VERSIONS))
    onward = ways_on(entry.stage)
    if onward:
        request_promotion(
            entry=entry, to_stage=onward[0], reason="why not",
            requester=world.people[chance.choice(PEOPLE)],
        )  # fmt: skip


def _approve(world: World, chance: random.Random) -> None:
    promotion = Promotion.objects.filter(state="open").order_by("?").first()
    if promotion:
        review_promotion(
            promotion=promotion, reviewer=world.people[chance.choice(PEOPLE)], decision="approve",
            reason="I looked.", revision=promotion.revision, password=PASSWORD,
        )  # fmt: skip


def _withdraw(world: World, chance: random.Random) -> None:
    promotion = Promotion.objects.filter(state="open").order_by("?").first()
    if promotion:
        withdraw_promotion(promotion=promotion, actor=world.people["dan"], reason="no")


def _roll_out(world: World, chance: random.Random) -> None:
    """As the job does it: a roll-out that is refused has failed, and its place is free again."""
    deployment = Deployment.objects.filter(status="pending").order_by("?").first()
    if deployment:
        try:
            activate(deployment=deployment, actor=None, health="It answers.")
        except (Conflict, Refused) as error:
            fail_rollout(deployment=deployment, actor=None, reason=str(error))


def _roll_back(world: World, chance: random.Random) -> None:
    present = world.model.entries.filter(stage="production").first()
    earlier = world.model.entries.filter(stage="archived").first()
    if present and earlier:
        restore_version(entry=earlier, replaced=present, actor=None, reason="errors")


ACTS = [*[_ask] * 4, *[_approve] * 8, *[_roll_out] * 3, _withdraw, _roll_back]


def _act(world: World, act: Any, seed: float) -> str:
    """One act of one thread; what went wrong, other than a refusal."""
    try:
        act(world, random.Random(seed))
    except E2IError:
        return ""
    except Exception as error:
        return f"{act.__name__}: {error!r}"
    finally:
        connection.close()
    return ""
