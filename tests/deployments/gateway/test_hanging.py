"""One model that hangs: it alone fails, and no other is blamed for having waited."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import httpx
import pytest

from deployments.gateway.client import GatewayAway, GatewayClient
from deployments.gateway.key import gateway_key
from deployments.gateway.routes import ACTIVE, Target
from deployments.gateway.runtime import Limits
from tests.deployments.conftest import SavedModels
from tests.deployments.gateway.conftest import Build, Setup, send, slow_down


class Hanging:
    """Takes the model's place and does not answer before it is let go."""

    def __init__(self) -> None:
        self.asked = threading.Event()
        self.over = threading.Event()

    def __call__(self, given: Any) -> Any:
        self.asked.set()
        self.over.wait(20)
        return [0] * len(given.data)


@pytest.fixture
def hanging() -> Iterator[Hanging]:
    model = Hanging()
    yield model
    model.over.set()


class TestAHangingModel:
    @pytest.fixture
    def other(self, challenger: Target) -> Target:
        return replace(challenger, deployment=2, endpoint="other", role=ACTIVE)

    def send_many(self, setup: Setup, body: bytes) -> list[int]:
        with ThreadPoolExecutor(4) as pool:
            calls = [pool.submit(send, setup, body) for _ in range(4)]
            return [call.result().status_code for call in calls]

    def ask_other(self, setup: Setup, body: bytes) -> Any:
        headers = {"Content-Type": "application/json"}
        return setup.client.post("/other/invocations", content=body, headers=headers)

    def test_fails_alone(
        self,
        build: Build,
        champion: Target,
        other: Target,
        saved: SavedModels,
        hanging: Hanging,
    ) -> None:
        setup = build(champion, other, limits=Limits(predict_seconds=1.0))
        slow_down(setup, champion.digest, hanging)
        with ThreadPoolExecutor(1) as pool:
            many = pool.submit(self.send_many, setup, saved.body())
            while not many.done():
                assert self.ask_other(setup, saved.body()).status_code == 200
        assert many.result() == [504] * 4
        assert send(setup, saved.body()).status_code == 504
        assert self.ask_other(setup, saved.body()).status_code == 200
        setup.settle()
        counts = setup.rows.counts
        assert (counts[1].requests, counts[1].errors, counts[2].errors) == (5, 5, 0)

    def test_is_not_held_against_a_model_that_found_no_thread(
        self,
        build: Build,
        champion: Target,
        other: Target,
        saved: SavedModels,
        hanging: Hanging,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        def through(method: str, url: str, *, timeout: float, **given: Any) -> Any:
            return setup.client.request(method, url, **given)

        setup = build(champion, other, limits=Limits(predict_seconds=15, all_threads=1))
        monkeypatch.setattr(httpx, "request", through)
        setup.gateway.key = gateway_key()
        slow_down(setup, champion.digest, hanging)
        with ThreadPoolExecutor(1) as pool:
            late = pool.submit(send, setup, saved.body())
            assert hanging.asked.wait(5)
            setup.gateway.limits = replace(setup.gateway.limits, predict_seconds=0.05)
            answer = self.ask_other(setup, saved.body())
            assert (answer.status_code, answer.json()["title"]) == (503, "Busy")
            with pytest.raises(GatewayAway, match="busy"):
                GatewayClient("http://testserver").try_example("other", 2, saved.body())
            hanging.over.set()
            assert late.result().status_code == 200
        setup.settle()
        assert set(setup.rows.counts) == {1}
