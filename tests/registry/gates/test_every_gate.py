"""Every gate passes, fails, is inconclusive and errs, on really trained models.

A gate that somebody registers needs its four cases here. Limits are moved, files are spoiled and
rows are corrupted around models that are measured once.
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import transaction

from registry.choices import GateOutcome
from registry.gates.base import all_gates
from registry.models import VersionMeasurement
from tests.deployments.lifecycle import publish
from tests.registry.gates import figures
from tests.registry.gates.cases import CASES, FAIL, NEVER, OPEN
from tests.registry.gates.conftest import Ask
from tests.registry.gates.trained import Classroom, Trained
from tests.registry.gates.world import World, build_world

pytestmark = [pytest.mark.django_db, pytest.mark.mlflow]


@pytest.fixture(scope="session")
def spoiled(school: Any, mlflow_server: str, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """The poor model with requirements that nobody can install."""
    from e2i_site.mlflow_connector import models

    poor = school.models["poor"]
    folder = tmp_path_factory.mktemp("spoiled") / "model"
    shutil.copytree(poor.path, folder)
    (folder / "requirements.txt").write_text("numpy\nno-such-package-anywhere==1.0\n")
    version = int(publish(mlflow_server, poor.name, SimpleNamespace(path=folder)))  # type: ignore[arg-type]
    return replace(poor, version=version, digest=models.digest(folder), path=folder)


@pytest.fixture
def world(classroom: Classroom, ask: Ask, spoiled: Trained, settings: Any, tmp_path: Path) -> World:
    return build_world(classroom, ask, spoiled, settings, tmp_path)


@pytest.mark.parametrize("gate", all_gates(), ids=lambda gate: gate.gate_id)
def test_each_gate_has_its_four_cases(gate: Any) -> None:
    cases = set(CASES.get(gate.gate_id, {}))
    never = {outcome for gate_id, outcome in NEVER if gate_id == gate.gate_id}
    assert cases | never == set(GateOutcome.values)
    assert not cases & never
    names = gate.function.__code__.co_names
    assert not (FAIL in never and "failed" in names)
    assert not (OPEN in never and "inconclusive" in names)


def test_each_gate_in_each_case(world: World, subtests: Any) -> None:
    """In one test, because each version is loaded once for all of it."""
    with subtests.test("the good version's figures"):
        _good(world)
    with subtests.test("the spoiled version's words"):
        _spoiled(world)
    for gate_id, cases in CASES.items():
        for outcome, (case, words) in cases.items():
            with subtests.test(gate=gate_id, outcome=outcome), transaction.atomic():
                found = case(world)
                assert found.startswith(f"{outcome}: "), found
                assert words in found


def _good(world: World) -> None:
    """As good as the champion: everything passes, and the figures are the trainer's own."""
    before = world.ask(world.good, *figures.MEASURED, measure=False)
    assert set(figures.outcomes(before).values()) == {"inconclusive"}
    assert all("being measured" in result.summary for result in before.values())
    results = world.ask(world.good, *figures.MEASURED, {"id": "rollback_readiness"})
    assert set(figures.outcomes(results).values()) == {"pass"}, {
        result.gate_id: result.summary for result in results.values()
    }
    figures.check_numbers(world.classroom, results)
    figures.check_drawings(results)
    figures.check_kept_evidence(world.good, world.champion)
    figures.check_moved_limits(world.ask, world.good, results)
    figures.check_errors(world.ask, world.good)


def _spoiled(world: World) -> None:
    """Poor, badly calibrated, and its run claims another figure than its model has."""
    run = world.spoiled.training_run
    assert run is not None
    run.test_metrics = {**run.test_metrics, "roc_auc": 0.999}
    run.save(update_fields=["test_metrics"])
    results = world.ask(
        world.spoiled,
        {"id": "champion_comparison"},
        {"id": "calibration"},
        {"id": "metric", "minimum": {"roc_auc": 0.6}},
        {"id": "dependencies"},
        {"id": "slices", "columns": ["region"], "metric": "positive_rate", "gap": 0.9},
        shadow={"gates": [{"id": "slices", "columns": ["shoe_size"], "minimum": 0.5}]},
    )
    compared = results["champion_comparison"]
    assert compared.outcome == "fail"
    assert compared.interval["high"] < -0.02
    assert f"of {world.champion}: worse by more than 0.02" in compared.summary
    assert results["calibration"].outcome == "fail"
    # What the run claims is not what its model does.
    assert results["metric"].outcome == "fail"
    assert "recorded another value of roc_auc" in results["metric"].summary
    # The islands have about one row in a hundred: too few to judge, and it says how many.
    assert results["slices"].outcome == "inconclusive"
    assert "islands (n = " in results["slices"].summary
    assert results["slices"].evidence["smallest_slice"] < 20
    unknown = VersionMeasurement.objects.get(entry=world.spoiled, state="impossible")
    assert "has no column shoe_size" in unknown.problem
