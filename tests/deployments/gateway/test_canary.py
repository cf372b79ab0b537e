"""A canary answers its share, and no caller notices what it cannot answer."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from deployments.gateway.columns import BadRequest
from deployments.gateway.routes import CANARY, SHADOW, Target
from tests.deployments.conftest import SavedModels
from tests.deployments.gateway.conftest import Build, send, slow_down


def canary(saved: SavedModels, share: int) -> Target:
    return Target(5, "cancer", CANARY, "e2i_cancer", 4, saved.challenger.digest, share=share)


class Failing:
    def __init__(self, error: Exception) -> None:
        self.error = error

    def __call__(self, given: Any) -> Any:
        raise self.error


def test_it_answers_its_share_of_the_callers(
    build: Build, champion: Target, saved: SavedModels
) -> None:
    setup = build(champion, canary(saved, 25))
    responses = [send(setup, saved.body()) for _ in range(400)]
    assert {each.status_code for each in responses} == {200}
    by = Counter(each.headers["E2I-Model-Version"] for each in responses)
    assert 60 <= by["4"] <= 140  # 100 are expected; chance misses this once in 100,000
    setup.settle()
    counts = setup.rows.counts
    assert (counts[5].requests, counts[1].requests) == (by["4"], by["3"])
    version = setup.client.get("/cancer/version").json()
    assert (version["active"]["version"], version["canary"]["version"]) == (3, 4)
    assert version["canary"]["share"] == 25


@pytest.mark.parametrize("error", [ValueError("no"), BadRequest("Column age is unknown.")])
def test_what_it_cannot_answer_the_active_version_does(
    build: Build, champion: Target, saved: SavedModels, error: Exception
) -> None:
    setup = build(champion, canary(saved, 100))
    slow_down(setup, saved.challenger.digest, Failing(error))
    response = send(setup, saved.body())
    assert response.status_code == 200
    assert response.headers["E2I-Model-Version"] == "3"
    assert response.headers["E2I-Canary"] == "passed over"
    setup.settle()
    assert (setup.rows.counts[5].requests, setup.rows.counts[5].errors) == (1, 1)
    assert (setup.rows.counts[1].requests, setup.rows.counts[1].errors) == (1, 0)


def test_what_the_caller_got_wrong_counts_against_no_version(
    build: Build, champion: Target, saved: SavedModels
) -> None:
    setup = build(champion, canary(saved, 100))
    assert send(setup, b"{").status_code == 400
    setup.settle()
    assert set(setup.rows.counts) == {1}
    counts = setup.rows.counts[1]
    assert (counts.requests, counts.errors, counts.rejected) == (0, 0, 1)


def test_its_own_shadow_gets_no_copies_of_what_it_answered(
    build: Build, champion: Target, saved: SavedModels
) -> None:
    shadow = Target(2, "cancer", SHADOW, "e2i_cancer", 4, saved.challenger.digest)
    setup = build(champion, canary(saved, 100), shadow)
    assert "E2I-Mirrored" not in send(setup, saved.body()).headers
    setup.settle()
    assert 2 not in setup.rows.counts


def test_alone_it_answers_nobody(build: Build, saved: SavedModels) -> None:
    """When the version that it is beside was stopped, nobody has judged that it may take over."""
    setup = build(canary(saved, 100))
    assert send(setup, saved.body()).status_code == 503
