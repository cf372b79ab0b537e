"""What the guard refuses, decided without a server, and that no route of MLflow's is forgotten."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mlflow.exceptions import MlflowException
from mlflow.utils.uri import validate_path_is_safe

from e2i_site.mlflow_connector.guard.calls import Fields, target
from e2i_site.mlflow_connector.guard.governed import UNKNOWN, GovernedFile, note_digest, parse
from e2i_site.mlflow_connector.guard.rules import rule_for

RUN, LIVE, LOGGED = "a" * 32, "b" * 32, "m-" + "c" * 32
NOTE = "<!-- e2i -->In production.<!-- /e2i -->"
DOCUMENT: dict[str, Any] = {
    "site": "https://e2i.example/",
    "models": ["churn", "new one"],
    "versions": [
        {
            "model": "churn", "version": "3", "promotion": 12, "run": RUN, "ended": True,
            "logged_model": LOGGED, "note": note_digest(f"Ours. {NOTE}"),
        },
        {
            "model": "churn", "version": "4", "promotion": None, "run": LIVE, "ended": False,
            "logged_model": "", "note": "",
        },
    ],
    "experiments": {"7": "churn"},
}  # fmt: skip
GOVERNED = parse(DOCUMENT)
M = "/api/2.0/mlflow/"
R, V = M + "registered-models/", M + "model-versions/"
STAGED = {"name": "churn", "version": "3"}
FILES = "/api/2.0/mlflow-artifacts/artifacts/"


def refusal(
    method: str, path: str, *, governed: Any = GOVERNED, query: str = "", **body: Any
) -> Any:
    rule = rule_for(method, path)
    sent = json.dumps(body).encode() if body else b""
    return rule(governed, Fields(query.encode(), sent)) if rule else None


REFUSED = [
    ("POST", R + "alias", {"name": "churn", "alias": "production", "version": "4"}),
    ("POST", R + "alias", {"name": "new one", "alias": "champion", "version": 1}),
    ("DELETE", R + "alias", {"name": "churn", "alias": "Shadow"}),
    ("POST", R + "rename", {"name": "churn", "new_name": "x"}),
    ("DELETE", R + "delete", {"name": "churn"}),
    ("POST", R + "set-tag", {"name": "churn", "key": "e2i.x", "value": "1"}),
    ("POST", V + "transition-stage", {"name": "churn", "version": "9"}),
    ("DELETE", V + "delete", {"name": "churn", "version": "3"}),
    ("POST", V + "set-tag", {"name": "churn", "version": "8", "key": "e2i.stage"}),
    ("DELETE", V + "delete-tag", {**STAGED, "key": "e2i.stage"}),
    ("PATCH", V + "update", {**STAGED, "description": "gone"}),
    ("POST", M + "runs/delete", {"run_id": LIVE}),
    ("POST", M + "runs/delete", {"runId": RUN}),
    ("POST", M + "runs/set-tag", {"run_uuid": RUN, "key": "a", "value": "b"}),
    ("POST", M + "runs/log-batch", {"run_id": RUN, "metrics": [{"key": "auc", "value": 1}]}),
    ("POST", M + "runs/update", {"run_id": RUN, "run_name": "better"}),
    ("POST", M + "experiments/delete", {"experiment_id": "7"}),
    ("DELETE", M + f"logged-models/{LOGGED}", {}),
    ("PATCH", M + f"logged-models/{LOGGED}/tags", {"tags": []}),
    ("PUT", FILES + f"7/models/{LOGGED}/artifacts/model.skops", {}),
    ("DELETE", FILES + f"7/{RUN}/artifacts", {}),
    ("DELETE", FILES + "7", {}),
    ("DELETE", FILES + "7/models", {}),
    ("POST", f"/api/2.0/mlflow-artifacts/mpu/create/7/models/{LOGGED}/artifacts/model.pkl", {}),
]  # fmt: skip
LET_THROUGH = [
    ("POST", R + "alias", {"name": "churn", "alias": "theirs", "version": "4"}),
    ("POST", R + "alias", {"name": "other", "alias": "production", "version": "4"}),
    ("DELETE", R + "delete", {"name": "other"}),
    ("POST", R + "set-tag", {"name": "churn", "key": "team", "value": "1"}),
    ("PATCH", R + "update", {"name": "churn", "description": "ours"}),
    ("DELETE", V + "delete", {"name": "churn", "version": "5"}),
    ("POST", V + "create", {"name": "churn", "source": "models:/m-1"}),
    ("PATCH", V + "update", {**STAGED, "description": f"Mine {NOTE}"}),
    ("PATCH", V + "update", {"name": "churn", "version": "4", "description": "new"}),
    ("POST", M + "runs/log-metric", {"run_id": LIVE, "key": "auc", "value": 1}),
    ("POST", M + "runs/delete", {"run_id": "d" * 32}),
    ("POST", M + "experiments/delete", {"experiment_id": "8"}),
    ("DELETE", M + "logged-models/m-other", {}),
    ("PUT", FILES + f"7/{LIVE}/artifacts/plot.png", {}),
    ("DELETE", FILES + f"7/{LIVE}/artifacts", {}),
    ("POST", "/graphql", {"query": "{ mlflowGetRun(input: {}) { run { info { runId } } } }"}),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path", "body"), REFUSED)
def test_refused_with_a_link(method: str, path: str, body: dict[str, Any]) -> None:
    for variant in (
        path,
        path.replace("/api/", "/ajax-api/"),
        f"/behind/a/prefix{path}",
        f"{path}/",
    ):
        reason = refusal(method, variant, **body)
        assert reason, variant
        assert "https://e2i.example/registry/" in reason


@pytest.mark.parametrize(("method", "path", "body"), LET_THROUGH)
def test_everything_else_passes(method: str, path: str, body: dict[str, Any]) -> None:
    assert refusal(method, path, **body) is None


def test_the_link_is_the_versions_promotion_or_the_models_page() -> None:
    body = {"name": "churn", "alias": "production"}
    path = R + "alias"
    assert refusal("POST", path, **body, version="3").endswith("/registry/promotions/12/")
    assert refusal("POST", path, **body, version="4").endswith("/registry/models/churn/")
    named = refusal("POST", path, name="new one", alias="production", version="1")
    assert named.endswith("/registry/models/new%20one/")


def test_fields_are_read_as_mlflow_reads_them() -> None:
    twice = json.dumps(json.dumps({"name": "churn", "alias": "production"})).encode()
    assert Fields(b"", twice)["alias"] == "production"
    # MLflow ignores what it does not know; that must not hide what it does know.
    assert Fields(b"", b'{"name": "churn", "Name": "other"}')["name"] == "churn"
    assert Fields(b"", json.dumps({"runId": RUN}).encode("utf-16")).run_ids == {RUN}
    assert Fields(b"", b"not json")["name"] == ""
    assert refusal("POST", "/ajax-api/2.0/mlflow/upload-artifact", query=f"run_uuid={RUN}&path=a")


@given(
    times=st.integers(0, 3),
    which=st.sampled_from([RUN, LOGGED]),
    tail=st.sampled_from(["x", "a/b"]),
)
def test_no_encoding_hides_a_governed_folder(times: int, which: str, tail: str) -> None:
    path = f"7/{which}/artifacts/{tail}"
    for _ in range(times):
        path = quote(path, safe="")
    assert refusal("PUT", FILES + path)


@given(
    times=st.integers(0, 3),
    method=st.sampled_from(["PUT", "DELETE"]),
    folder=st.sampled_from([f"7/{RUN}", f"7/models/{LOGGED}", "7/models", "7"]),
    # What MLflow leaves out when it reads a path as an address.
    inside=st.sampled_from(["", "\t", "\n", "\r"]),
    before=st.sampled_from(["", " ", "\t "]),
    end=st.sampled_from(["", "?", ";", "/", "/."]),
    at=st.integers(1, 20),
)
def test_nothing_that_mlflow_leaves_out_hides_one(
    times: int, method: str, folder: str, inside: str, before: str, end: str, at: int
) -> None:
    path = before + folder[:at] + inside + folder[at:] + end
    try:
        read = validate_path_is_safe(path)
    except MlflowException:
        return
    governed = RUN in read or LOGGED in read or method == "DELETE"
    for _ in range(times):
        path = quote(path, safe="")
    assert bool(refusal(method, FILES + path)) == governed, read


def test_a_path_that_mlflow_does_not_take_is_refused() -> None:
    assert "cannot be read" in refusal("DELETE", f"{FILES}7/../7/{RUN}")


@pytest.mark.parametrize(
    ("call", "query", "body"),
    [
        ("upload-artifact", f"run_id=x&run_uuid={RUN}&path=a", {}),
        ("upload-artifact", f"run_uuid={RUN}&run_uuid=x&path=a", {}),
        ("runs/set-tag", "", {"run_id": None, "run_uuid": RUN, "key": "k", "value": "v"}),
        ("runs/update", "run_id=x", {"run_uuid": RUN, "status": "RUNNING"}),
        ("runs/delete", "", {"run_id": "x", "runId": RUN}),
    ],
)
def test_no_decoy_hides_the_run_that_is_meant(call: str, query: str, body: dict[str, Any]) -> None:
    assert refusal("POST", M + call, query=query, **body)


def test_while_nothing_is_known_only_what_may_be_governed_is_refused() -> None:
    refused = [
        ("POST", R + "alias", {"name": "a", "alias": "production"}),
        ("DELETE", R + "delete", {"name": "a"}),
        ("POST", M + "runs/delete", {"run_id": RUN}),
        ("DELETE", M + "logged-models/m-1", {}),
        ("DELETE", FILES + "7", {}),
    ]
    for method, path, body in refused:
        assert "cannot be read" in refusal(method, path, governed=UNKNOWN, **body)
    passed = [
        ("POST", R + "alias", {"name": "a", "alias": "theirs"}),
        ("POST", M + "runs/log-batch", {"run_id": RUN}),
        ("PUT", FILES + f"7/{RUN}/artifacts/a", {}),
        ("PATCH", V + "update", {"name": "a", "version": "1"}),
    ]
    for method, path, body in passed:
        assert refusal(method, path, governed=UNKNOWN, **body) is None


def test_the_file_is_read_again_when_replaced_and_outlives_a_broken_one(tmp_path: Path) -> None:
    path = tmp_path / "governed.json"
    listing = GovernedFile(path)
    assert listing.current() is UNKNOWN

    def replace(text: str) -> None:
        fresh = tmp_path / "new"
        fresh.write_text(text)
        fresh.replace(path)

    replace(json.dumps(DOCUMENT))
    assert listing.current().models == {"churn", "new one"}
    replace('{"site": ')
    assert listing.current().models == {"churn", "new one"}
    replace(json.dumps({**DOCUMENT, "models": ["other"]}))
    assert listing.current().models == {"other"}


# What changes nothing that is governed: reading by POST, making new things, and other rooms.
HARMLESS = (
    "experiments/create", "experiments/search", "experiments/search-datasets",
    "experiments/restore", "experiments/update",
    "experiments/set-experiment-tag", "experiments/delete-experiment-tag",
    "registered-models/create", "registered-models/update",
    "registered-models/get-latest-versions", "model-versions/create",
    "runs/create", "runs/create-promptlab-run", "runs/restore", "runs/search",
    "artifacts/presigned-download-url",
    "logged-models", "metrics", "traces", "datasets", "webhooks", "gateway", "scorers", "scorer",
    "issues", "label-schemas", "review-queues", "jobs", "assistant", "demo", "genai",
    "ui-telemetry", "workspaces", "prompt-optimization", "users", "permissions", "mcp",
    "get-trace-artifact", "online-scoring-configs", "mcp-servers", "gateway-proxy",
)  # fmt: skip


def test_no_route_of_mlflow_is_forgotten() -> None:
    """A route that a new MLflow brings is judged by somebody before it is let through."""
    from mlflow.server import app

    forgotten = set()
    for route in app.url_map.iter_rules():
        found = target(route.rule)
        if found is None or not (route.methods or set()) - {"GET", "HEAD", "OPTIONS"}:
            continue
        api, call = found
        guarded = all(rule_for(method, route.rule) for method in route.methods or ())
        known = any(call == each or call.startswith(f"{each}/") for each in HARMLESS)
        if not guarded and not (api == "mlflow" and known):
            forgotten.add(route.rule)
    assert not forgotten


def test_graphql_changes_nothing() -> None:
    from mlflow.server.graphql.graphql_schema_extensions import schema

    mutations = schema.graphql_schema.mutation_type
    assert mutations is not None
    # Two searches that take a body, and an echo.
    assert set(mutations.fields) == {"mlflowSearchRuns", "mlflowSearchDatasets", "testMutation"}
