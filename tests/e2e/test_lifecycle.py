"""The whole lifecycle on real data, from one command; then the world is tampered with.

The tests share one system and come in any order: what one breaks it mends.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from typing import Any

import httpx
import numpy as np
import pytest

from tests.e2e.system import ROOT, System
from tests.mlflow_process import answers
from tests.services import free_port
from tests.waiting import wait_for

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(900),
]

LOAD = """
import sys, mlflow, pandas
mlflow.set_tracking_uri(sys.argv[1])
model = mlflow.pyfunc.load_model(f"models:/{sys.argv[2]}@production")
print("RUN", model.metadata.run_id or mlflow.MlflowClient().get_model_version_by_alias(
    sys.argv[2], "production").run_id)
row = pandas.DataFrame([{name: 0.0 for name in model.metadata.get_input_schema().input_names()}])
print("ANSWER", model.predict(row).tolist())
"""


def _said_by_a_plain_client(system: System, *arguments: str) -> dict[str, str]:
    """What `LOAD` prints, run by somebody who only has MLflow, as {name: value}."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("E2I_", "MLFLOW_"))}
    done = subprocess.run(
        [sys.executable, "-c", LOAD, system.mlflow, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return dict(line.split(" ", 1) for line in done.stdout.splitlines() if " " in line)


def _past_the_guard(system: System, path: str, **body: str) -> None:
    """Call MLflow with the token that only E2I should have, after the guard has refused it."""
    address = f"{system.mlflow}/api/2.0/mlflow/{path}"
    refused = httpx.post(address, json=body, timeout=20).json()
    assert refused["error_code"] == "PERMISSION_DENIED"
    assert f"{system.web}/registry/" in refused["message"]
    token = (system.data / "guard-token").read_text().strip()
    headers = {"E2I-Guard-Token": token}
    httpx.post(address, json=body, headers=headers, timeout=20).raise_for_status()


def _failing(report: dict[str, Any]) -> set[str]:
    return {check["id"] for check in report["checks"] if check["outcome"] == "fail"}


def test_the_demo_ends_as_it_says(system: System) -> None:
    stages = {
        (version["model_name"].startswith("e2i_any-visit"), version["model_version"]): version[
            "stage"
        ]
        for version in system.api("versions")
    }
    assert stages == {
        (True, 1): "production",
        (True, 2): "archived",
        (False, 1): "shadow",
    }
    windows = {window["model"]: window for window in system.api("shadow-windows", state="open")}
    (honest,) = windows.values()
    assert honest["verdict"] == "inconclusive"
    sentence = honest["verdict_detail"]["sentence"]
    assert re.match(r"needs 2[34] h( \d+ min)? and 412 more requests", sentence), sentence


def test_running_the_demo_again_changes_nothing(system: System) -> None:
    before = system.command("verify_trail", "--json")[1]
    status, document = system.command("demo", "--json")
    assert status == 0
    assert document["ok"]
    assert all(step["outcome"] == "done" for step in document["steps"])
    after = system.command("verify_trail", "--json")[1]
    assert before["ok"]
    assert after["ok"]
    assert len(document["versions"]) == 3


def test_a_plain_mlflow_client_loads_what_is_in_production(system: System) -> None:
    version = system.production()
    loaded = _said_by_a_plain_client(system, version["model_name"])
    assert loaded["RUN"] == version["mlflow_run_id"]
    columns = [column["name"] for column in version["signature"]["inputs"]]
    served = httpx.post(
        f"{system.gateway}/{version['model_name']}/invocations",
        json={"dataframe_split": {"columns": columns, "data": [[0.0] * len(columns)]}},
        timeout=20,
    )
    assert served.status_code == 200, served.text
    np.testing.assert_allclose(served.json()["predictions"], json.loads(loaded["ANSWER"]))


def test_the_mirror_and_the_trail_agree(system: System) -> None:
    status, document = system.command("sync_mlflow", "--json")
    assert status == 0
    assert document["runs"]["seen"] > 0
    assert document["versions"]["seen"] == 3
    status, document = system.command("verify_trail", "--json")
    assert (status, document["ok"], document["first_bad"]) == (0, True, None)


def test_the_audit_is_clean(system: System) -> None:
    system.command("sync_mlflow", "--json")
    status, report = system.command("run_audit", "--json", "--fail-on", "P4")
    assert report["findings"] == []
    assert status == 0
    outcomes = {check["id"]: check["outcome"] for check in report["checks"]}
    assert set(outcomes.values()) <= {"pass", "not_applicable"}
    assert {check_id.split(".")[0] for check_id in outcomes} == {"1", "2", "3", "4", "5", "6"}


def test_every_page_opens(system: System) -> None:
    with system.client("amina") as client:
        for path in (
            "/",
            "/training/",
            "/registry/",
            "/registry/promotions/",
            "/deployments/",
            "/audit/",
            "/trail/",
            "/jobs/",
            "/api/v1/",
        ):
            assert client.get(path).status_code == 200, path
    with system.client("admin") as client:
        assert client.get("/admin/").status_code == 200
    assert httpx.get(f"{system.web}/readyz").json()["ready"] is True


def test_an_alias_moved_by_hand_is_named(system: System) -> None:
    name = system.production()["model_name"]
    alias = {"name": name, "alias": "production"}
    _past_the_guard(system, "registered-models/alias", **alias, version="2")
    status, report = system.command("run_audit", "--json", "--fail-on", "P1")
    assert status == 1
    assert "4.2" in _failing(report)
    (finding,) = [each for each in report["findings"] if each["check"] == "4.2"]
    assert finding["priority"] in ("P0", "P1")
    _past_the_guard(system, "registered-models/alias", **alias, version="1")
    assert "4.2" not in _failing(system.command("run_audit", "--check", "4.2", "--json")[1])


def test_a_changed_model_file_is_named(system: System) -> None:
    version = system.production()
    model_id = version["mlflow_model_uri"].removeprefix("models:/")
    files = [file for file in system.data.rglob(f"*{model_id}*/**/MLmodel") if file.is_file()]
    assert len(files) == 1, files
    original = files[0].read_bytes()
    files[0].write_bytes(original + b"\n# changed\n")
    try:
        status, report = system.command("run_audit", "--json", "--fail-on", "P0")
        assert status == 1
        assert _failing(report) & {"2.3", "3.3"}
    finally:
        files[0].write_bytes(original)


def test_a_deleted_run_is_named(system: System) -> None:
    run_id = system.production()["mlflow_run_id"]
    _past_the_guard(system, "runs/delete", run_id=run_id)
    try:
        status, report = system.command("run_audit", "--json", "--fail-on", "P1")
        assert status == 1
        assert _failing(report) & {"2.1", "3.4"}
    finally:
        restore = f"{system.mlflow}/api/2.0/mlflow/runs/restore"
        httpx.post(restore, json={"run_id": run_id}, timeout=20).raise_for_status()


def test_it_does_not_start_twice_on_one_directory(system: System) -> None:
    ports = {name: str(free_port()) for name in ("WEB_PORT", "MLFLOW_PORT", "GATEWAY_PORT")}
    done = subprocess.run(
        [sys.executable, "-m", "e2i_site.run"],
        cwd=ROOT, env={**system.environment, **ports}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "already runs" in done.stdout + done.stderr


def test_a_process_that_falls_is_started_again(system: System) -> None:
    os.kill(system.child("gunicorn"), signal.SIGKILL)
    wait_for(lambda: "web ended (killed by SIGKILL)" in system.log.read_text())
    wait_for(lambda: answers(f"{system.web}/readyz"))
