"""The contracts between rooms, as docs/architecture.md states them."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from e2i_site import celeryconfig
from e2i_site.jobs import handlers, wakeup
from tests.architecture.source import ROOT, imported, modules

CONNECTOR = "e2i_site/mlflow_connector/"
# Big libraries that a page never needs; each costs every process its memory and start.
NOT_AT_THE_START = {
    "mlflow", "pandas", "pyarrow", "sklearn", "lightgbm", "xgboost", "optuna", "matplotlib",
    "imblearn",
}  # fmt: skip


def test_imports_point_downwards_only() -> None:
    done = subprocess.run(
        [Path(sys.executable).parent / "lint-imports", "--no-cache"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr


def test_only_the_connector_imports_mlflow() -> None:
    importers = {
        path
        for path, tree in modules()
        if any(name.split(".")[0] == "mlflow" for name in imported(tree))
    }
    assert importers, "somebody must talk to MLflow"
    assert not {path for path in importers if not path.startswith(CONNECTOR)}


def test_the_connector_knows_no_rows() -> None:
    wrong = {
        (path, name)
        for path, tree in modules(CONNECTOR)
        for name in imported(tree)
        if name.startswith("django.db")
    }
    assert not wrong


def test_governed_writes_take_who_acts_by_keyword() -> None:
    """Beside the one thing acted on, nothing is told by position: mistaking ids is easy."""
    callbacks = {"left_stage"}  # Its signature is the one that registry.rollouts asks for.
    wrong = []
    for path, tree in modules():
        functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
        for function in functions if "/actions/" in path else []:
            by_position = [argument.arg for argument in function.args.args]
            if function.name.startswith("_") or function.name in callbacks:
                continue
            acts = "actor" in {a.arg for a in function.args.kwonlyargs} or "actor" in by_position
            if acts and (len(by_position) > 1 or "actor" in by_position):
                wrong.append(f"{path}:{function.name}")
    assert not wrong


def test_policies_never_write() -> None:
    writes = {"save", "create", "update", "delete", "bulk_create", "get_or_create"}
    wrong = [
        f"{path}:{node.lineno}"
        for path, tree in modules()
        if path.endswith("policies.py")
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
        if node.func.attr in writes
    ]
    assert not wrong


def test_every_periodic_job_has_a_handler() -> None:
    for entry in celeryconfig.beat_schedule.values():
        if entry["task"] == "jobs.every":
            assert handlers.find(entry["args"][0]).kind == entry["args"][0]


def test_workers_listen_to_the_queues_that_jobs_are_sent_to() -> None:
    sent_to = {wakeup.LIGHT_QUEUE, wakeup.ISOLATED_QUEUE}
    assert {queue.name for queue in celeryconfig.task_queues} == sent_to
    procfile = (ROOT / "Procfile").read_text()
    for queue in sent_to:
        assert f"--queues {queue} " in procfile


@pytest.mark.parametrize("module", ["e2i_site.wsgi", "e2i_site.celery"])
def test_big_libraries_stay_out_of_the_start(module: str, tmp_path: Path) -> None:
    script = (
        f"import sys, json, {module}, django; django.setup(); import e2i_site.urls;"
        "print(json.dumps(sorted({name.split('.')[0] for name in sys.modules})))"
    )
    environment = {
        **os.environ, "E2I_DATA_DIR": str(tmp_path), "DJANGO_SETTINGS_MODULE": "e2i_site.settings",
    }  # fmt: skip
    output = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert not NOT_AT_THE_START & set(json.loads(output.splitlines()[-1]))
