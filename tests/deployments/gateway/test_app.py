"""The application with real models: answers, mirror, measurements, refusals."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from deployments.gateway.columns import BadRequest
from deployments.gateway.routes import STANDBY, Target
from deployments.gateway.runtime import Limits
from deployments.store import ArtifactStore
from tests.deployments.conftest import SavedModels
from tests.deployments.gateway.conftest import Build, Slow, send, slow_down

KEY = {"E2I-Gateway-Key": "open sesame"}


def test_answers_are_the_models_own(build: Build, champion: Target, saved: SavedModels) -> None:
    response = send(build(champion), saved.body(rows=50))
    assert response.status_code == 200
    expected = saved.champion.fitted.predict(saved.frame.head(50)).tolist()
    assert response.json() == {"predictions": expected}
    assert response.headers["E2I-Model"] == "e2i_cancer"
    assert response.headers["E2I-Model-Version"] == "3"
    assert response.headers["E2I-Model-Digest"] == f"sha256:{saved.champion.digest}"
    assert response.headers["E2I-Deployment"] == "1"
    assert "E2I-Mirrored" not in response.headers


def test_every_request_is_mirrored_and_both_are_measured(
    build: Build, champion: Target, challenger: Target, saved: SavedModels
) -> None:
    setup = build(champion, challenger)
    for start in range(100):
        response = send(setup, saved.body(start=start))
        assert response.headers["E2I-Mirrored"] == "shadow"
    setup.settle()
    active, shadow = setup.rows.counts[1], setup.rows.counts[2]
    assert (active.requests, active.errors) == (100, 0)
    assert (shadow.requests, shadow.errors, shadow.dropped) == (100, 0, 0)
    assert shadow.latency.total == active.latency.total == 100
    rows = saved.frame.head(100)
    differing = saved.champion.fitted.predict(rows) != saved.challenger.fitted.predict(rows)
    assert (shadow.compared, shadow.disagreements) == (100, int(differing.sum()))


def test_without_an_active_version_the_shadow_measures_and_nobody_is_answered(
    build: Build, challenger: Target, saved: SavedModels
) -> None:
    setup = build(challenger)
    response = send(setup, saved.body())
    assert response.status_code == 503
    assert response.headers["Content-Type"] == "application/problem+json"
    assert "a shadow version is" in response.json()["detail"]
    assert response.headers["E2I-Mirrored"] == "shadow"
    assert send(setup, b"{").status_code == 400
    setup.settle()
    assert setup.rows.counts[2].requests == 1


def test_the_callers_mistakes_name_the_column_and_count_for_nobody(
    build: Build, champion: Target, challenger: Target, saved: SavedModels
) -> None:
    setup = build(champion, challenger)
    document = json.loads(saved.body())
    document["dataframe_split"]["data"][0][2] = "large"
    response = send(setup, json.dumps(document).encode())
    assert response.status_code == 400
    assert response.json()["detail"].startswith("Column 'mean perimeter', row 0: 'large'")
    assert send(setup, b"a,b\n1,2\n", **{"Content-Type": "text/html"}).status_code == 415
    assert send(setup, saved.body(rows=0)).json()["detail"] == "The input has no rows."
    setup.settle()
    assert set(setup.rows.counts) == {1}
    counts = setup.rows.counts[1]
    assert (counts.requests, counts.errors, counts.rejected) == (0, 0, 3)


def test_a_body_over_the_limit_is_refused(
    build: Build, champion: Target, saved: SavedModels
) -> None:
    setup = build(champion, limits=Limits(body_bytes=1000))
    response = send(setup, saved.body(rows=20))
    assert response.status_code == 413
    assert "1,000 bytes" in response.json()["detail"]


def test_bytes_that_were_changed_are_never_loaded(
    build: Build, champion: Target, saved: SavedModels, store: ArtifactStore
) -> None:
    file = store.path(saved.champion.digest) / "model.skops"
    file.chmod(0o600)
    file.write_bytes(file.read_bytes() + b"x")
    loaded = []
    setup = build(champion)
    setup.gateway.table._host._load = loaded.append
    response = send(setup, saved.body())
    assert response.status_code == 503
    ping = setup.client.get("/cancer/ping")
    assert ping.status_code == 503
    assert "changed on disk" in ping.json()["detail"]
    assert loaded == []
    assert "changed on disk" in setup.client.get("/health").json()["problems"][0]


def test_a_switch_waits_for_the_new_model_and_keeps_the_old_one_when_that_is_refused(
    build: Build, champion: Target, saved: SavedModels, store: ArtifactStore
) -> None:
    setup = build(champion)
    setup.rows.targets = [replace(champion, deployment=7, version=5, digest="0" * 64)]
    setup.gateway.table.refresh()
    assert send(setup, saved.body()).headers["E2I-Model-Version"] == "3"
    assert setup.client.get("/cancer/ping").status_code == 503
    setup.rows.targets = [
        replace(champion, deployment=8, version=4, digest=saved.challenger.digest)
    ]
    setup.gateway.table.refresh()
    assert send(setup, saved.body()).headers["E2I-Model-Version"] == "4"
    setup.rows.targets = []
    setup.gateway.table.refresh()
    assert send(setup, saved.body()).status_code == 404


def test_a_database_that_is_away_stops_neither_answers_nor_counting(
    build: Build, champion: Target, saved: SavedModels
) -> None:
    setup = build(champion)
    setup.rows.broken = True
    setup.gateway.table.refresh()
    assert send(setup, saved.body()).status_code == 200
    with pytest.raises(ConnectionError):
        setup.gateway.meter.flush()
    assert setup.client.get("/health").json()["status"] == "degraded"
    setup.rows.broken = False
    setup.gateway.table.refresh()
    assert send(setup, saved.body()).status_code == 200
    setup.gateway.meter.flush()
    assert setup.rows.counts[1].requests == 2
    assert setup.client.get("/health").json()["status"] == "ok"


def test_a_slow_shadow_delays_no_answer_and_is_counted_slow(
    build: Build, champion: Target, challenger: Target, saved: SavedModels
) -> None:
    setup = build(champion, challenger)
    slow_down(setup, challenger.digest, Slow(0.2))
    started = time.perf_counter()
    for _ in range(10):
        assert send(setup, saved.body()).status_code == 200
    # Ten copies take the shadow two seconds; nobody waited for the first of them.
    assert time.perf_counter() - started < 0.2 * 10 / 2
    setup.settle()
    assert (setup.rows.counts[2].requests, setup.rows.counts[2].slow) == (10, 10)


def test_copies_that_find_no_room_are_counted(
    build: Build, champion: Target, challenger: Target, saved: SavedModels
) -> None:
    setup = build(champion, challenger, copies=3)
    slow_down(setup, challenger.digest, Slow(0.3))
    said = [send(setup, saved.body()).headers["E2I-Mirrored"] for _ in range(20)]
    setup.settle()
    shadow = setup.rows.counts[2]
    assert shadow.dropped == said.count("dropped") >= 15
    assert shadow.requests + shadow.dropped == 20


def broken(given: Any) -> Any:
    raise RuntimeError("no tree left")


def test_a_failing_model_is_an_error_of_the_model_and_still_mirrored(
    build: Build, champion: Target, challenger: Target, saved: SavedModels
) -> None:
    setup = build(champion, challenger)
    slow_down(setup, champion.digest, broken)
    response = send(setup, saved.body())
    assert response.status_code == 500
    assert response.json()["detail"] == "The model failed: RuntimeError: no tree left"
    assert response.headers["E2I-Deployment"] == "1"
    setup.settle()
    assert (setup.rows.counts[1].requests, setup.rows.counts[1].errors) == (1, 1)
    shadow = setup.rows.counts[2]
    assert (shadow.requests, shadow.errors, shadow.champion_errors) == (1, 0, 1)


def test_a_failing_shadow_fails_alone(
    build: Build, champion: Target, challenger: Target, saved: SavedModels
) -> None:
    setup = build(champion, challenger)
    slow_down(setup, challenger.digest, broken)
    assert send(setup, saved.body()).status_code == 200
    setup.settle()
    shadow = setup.rows.counts[2]
    assert (shadow.requests, shadow.errors, shadow.compared) == (1, 1, 0)


@pytest.mark.parametrize("with_champion", [True, False])
def test_what_only_the_shadow_refuses_is_its_error_where_a_champion_took_it(
    build: Build, champion: Target, challenger: Target, saved: SavedModels, with_champion: bool
) -> None:
    def refuse(_: Any) -> Any:
        raise BadRequest("Nested columns do not fit.")

    setup = build(*([champion] if with_champion else []), challenger)
    slow_down(setup, challenger.digest, refuse)
    assert send(setup, saved.body()).status_code == (200 if with_champion else 503)
    setup.settle()
    shadow = setup.rows.counts[2]
    assert (shadow.requests, shadow.errors) == ((1, 1) if with_champion else (0, 0))
    assert shadow.rejected == (not with_champion)


@pytest.mark.parametrize(
    ("answer", "changed", "largest"),
    [
        ({"p": np.array([0.25, 0.75]), "y": np.array([1])}, {"y": np.array([3])}, 2.0),
        ([np.array([1.0, 2.0]), np.array([3.0, 4.0])], [np.zeros(2), np.zeros(2)], 4.0),
        (pd.DataFrame({"n": pd.array([1, None], "Int64")}), pd.DataFrame({"n": [1, 2]}), 0.0),
        ({"y": pd.Series([1.5]), "n": pd.NA, "at": pd.NaT}, {"n": 1}, 0.0),
    ],
)
def test_answers_of_any_form_are_compared_and_none_is_dropped(
    build: Build,
    champion: Target,
    challenger: Target,
    saved: SavedModels,
    answer: Any,
    changed: Any,
    largest: float,
) -> None:
    setup = build(champion, challenger)
    slow_down(setup, champion.digest, lambda given: answer)
    slow_down(setup, challenger.digest, lambda given: answer)
    assert send(setup, saved.body()).status_code == 200
    setup.settle()
    other = answer | changed if isinstance(answer, dict) else changed
    slow_down(setup, challenger.digest, lambda given: other)
    assert send(setup, saved.body()).status_code == 200
    setup.settle()
    shadow = setup.rows.counts[2]
    assert (shadow.requests, shadow.errors, shadow.dropped) == (2, 0, 0)
    assert (shadow.compared, shadow.disagreements) == (2, 1)
    assert shadow.difference_max == largest


def test_an_answer_that_cannot_be_compared_is_measured_all_the_same(
    build: Build,
    champion: Target,
    challenger: Target,
    saved: SavedModels,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(left: Any, right: Any) -> Any:
        raise RecursionError

    monkeypatch.setattr("deployments.gateway.mirror.compare", fail)
    setup = build(champion, challenger)
    send(setup, saved.body())
    setup.settle()
    shadow = setup.rows.counts[2]
    assert (shadow.requests, shadow.errors, shadow.dropped, shadow.compared) == (1, 0, 0, 0)


def test_a_model_that_takes_too_long_is_cut_off(
    build: Build, champion: Target, saved: SavedModels
) -> None:
    setup = build(champion, limits=Limits(predict_seconds=0.05))
    slow_down(setup, champion.digest, Slow(0.3))
    assert send(setup, saved.body()).status_code == 504


class TestChecksOfOneDeployment:
    def test_need_the_key(self, build: Build, challenger: Target) -> None:
        client = build(challenger).client
        assert client.get("/cancer/deployments/2/ping").status_code == 403
        wrong = {"E2I-Gateway-Key": "guess"}
        assert client.get("/cancer/deployments/2/ping", headers=wrong).status_code == 403
        response = client.post("/cancer/deployments/2/invocations", content=b"{}")
        assert response.status_code == 403

    def test_reach_a_deployment_that_answers_nobody_yet(
        self, build: Build, challenger: Target, champion: Target, saved: SavedModels
    ) -> None:
        setup = build(champion, replace(challenger, role=STANDBY))
        ping = setup.client.get("/cancer/deployments/2/ping", headers=KEY)
        assert ping.json()["digest"] == f"sha256:{challenger.digest}"
        headers = {**KEY, "Content-Type": "application/json"}
        answer = setup.client.post(
            "/cancer/deployments/2/invocations", content=saved.body(rows=5), headers=headers
        )
        expected = saved.challenger.fitted.predict(saved.frame.head(5)).tolist()
        assert answer.json()["predictions"] == expected
        setup.settle()
        assert setup.rows.counts == {}

    def test_say_when_a_model_is_refused(self, build: Build, champion: Target) -> None:
        setup = build(replace(champion, role=STANDBY, digest="0" * 64))
        ping = setup.client.get("/cancer/deployments/1/ping", headers=KEY)
        assert (ping.status_code, ping.json()["title"]) == (503, "Cannot be served")
        assert setup.client.get("/cancer/deployments/9/ping", headers=KEY).status_code == 404


@pytest.mark.parametrize(
    "path", ["/nobody/ping", "/../ping", "/a%20b/ping", "/cancer%2f/ping", "/cancer/other"]
)
def test_other_paths_are_not_found(build: Build, champion: Target, path: str) -> None:
    response = build(champion).client.get(path)
    assert response.status_code == 404
    assert response.headers["Content-Type"] == "application/problem+json"


def test_version_says_what_is_in_memory(build: Build, champion: Target, challenger: Target) -> None:
    content = build(champion, challenger).client.get("/cancer/version").json()
    assert content == {
        "endpoint": "cancer",
        "active": champion.describe(),
        "shadow": challenger.describe(),
    }


def test_the_quick_way_is_taken_only_with_the_same_answers(
    build: Build, champion: Target, saved: SavedModels
) -> None:
    model = build(champion).gateway.table._host.get(champion.digest)
    assert model is not None
    assert model.fast
