"""What plain MLflow clients log and register appears whole, in the tables and on the pages."""

from __future__ import annotations

import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import cache

from e2i_site.mlflow_connector import get_connector
from registry.models import RegisteredModel, RegistryEntry
from registry.sync import sync
from training.choices import RunRole
from training.models import TrainingRun

SCRIPT = Path(__file__).with_name("autologging.py")


@pytest.mark.timeout(240)
def test_autologged_nested_and_registered_work_appears_whole(
    mlflow_server: str,
    client: Any,
    people: Any,
    settings: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("e2i_site.jobs.tasks.run.apply_async", lambda *args, **kwargs: None)
    settings.MLFLOW_TRACKING_URI = mlflow_server
    settings.MLFLOW_JOURNAL_DIR = tmp_path / "journals"
    cache.clear()
    name = f"clients-{uuid.uuid4().hex[:8]}"
    script = [sys.executable, str(SCRIPT), mlflow_server, name]
    done = subprocess.run(script, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    sync(full=True)

    connector = get_connector()
    experiment = connector.find_experiment(name)
    assert experiment
    in_mlflow = {run.run_id: run for run in connector.iter_runs([experiment.experiment_id])}
    rows = {row.mlflow_run_id: row for row in TrainingRun.objects.filter(
        mlflow_experiment__mlflow_id=experiment.experiment_id
    )}  # fmt: skip
    assert set(rows) == set(in_mlflow)
    for run_id, run in in_mlflow.items():
        row = rows[run_id]
        assert (row.params, row.tags, row.metrics) == (run.params, run.tags, run.metrics)
        assert (row.run_name, row.status) == (run.name, "finished")
        assert row.source == "mlflow"

    named = {row.run_name: row for row in rows.values()}
    assert named["search"].algorithm == "GridSearchCV"
    assert named["search"].framework == "sklearn"
    assert named["search"].children.count() == 2
    assert "LogisticRegression_score_unknown_dataset" in named["scored"].metrics
    assert named["boosted"].metrics["training-binary_logloss"] > 0
    assert named["xgb"].metrics["train-logloss"] > 0
    assert {row.parent for row in rows.values() if row.run_name.startswith("inner")} == {
        named["outer"]
    }
    assert named["inner 1"].role == RunRole.TRIAL
    assert named["kept"].datasets[0]["name"] == "made"
    assert named["kept"].model_outputs

    model = RegisteredModel.objects.get(name=name)
    assert model.aliases == {"champion": "1"}
    first, second = RegistryEntry.objects.filter(model=name).order_by("model_version")
    assert first.training_run == named["kept"]
    assert (first.tags, first.is_champion) == ({"checked": "by hand"}, True)
    assert second.training_run == named["kept"]

    client.force_login(people.viewer)
    for row in rows.values():
        page = client.get(row.get_absolute_url())
        assert page.status_code == 200
        assert row.run_name in page.content.decode()
    html = client.get(model.get_absolute_url()).content.decode()
    assert "champion" in html
    html = client.get(first.get_absolute_url()).content.decode()
    assert named["kept"].get_absolute_url() in html
