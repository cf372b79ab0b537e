"""Whole pipelines on a connector whose MLflow is away: the journal is enough."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from e2i_site.mlflow_connector import MLflowConnector
from e2i_site.mlflow_connector.models import digest, load_pyfunc
from e2i_site.mlflow_connector.transport import RetryPolicy
from tests.services import free_port
from training.pipeline.data import Dataset, Target, build
from training.pipeline.selector.run import ORDER as SELECTOR
from training.pipeline.selector.run import select
from training.pipeline.selector.state import Constraints, SelectionRequest
from training.pipeline.steps import MemoryRecorder, Steps
from training.pipeline.trainer import fit, log
from training.pipeline.trainer.run import ORDER, train
from training.pipeline.trainer.state import TrainingRequest, TrainingResult
from training.pipeline.types import Balancing, Problem


@pytest.fixture
def connector(tmp_path: Path) -> MLflowConnector:
    dead = f"http://127.0.0.1:{free_port()}"
    return MLflowConnector(dead, tmp_path / "journals", policy=RetryPolicy(retries=0))


@pytest.fixture
def request_(tmp_path: Path) -> TrainingRequest:
    return TrainingRequest(
        "exp",
        "LogisticRegression",
        f"sqlite:///{tmp_path / 'optuna.sqlite3'}",
        "run-1",
        trials=0,
        folds=2,
        registered_model="e2i_exp_model",
    )


def run(
    data: Dataset,
    request: TrainingRequest,
    connector: MLflowConnector,
    tmp_path: Path,
    recorder: MemoryRecorder | None = None,
) -> TrainingResult:
    return train(
        data,
        request,
        recorder or MemoryRecorder(),
        connector,
        tmp_path / "checkpoints",
        run_name="r",
        journal_id="r",
    )


@pytest.mark.parametrize(
    ("algorithm", "problem"),
    [
        ("LogisticRegression", "mixed"),
        ("LightGBM", "mixed"),
        ("XGBoost", "numbers"),
        ("RandomForest", "mixed"),
    ],
)
def test_the_kept_model_answers_raw_columns_as_the_trained_one_does(
    algorithm: str,
    problem: str,
    request_: TrainingRequest,
    connector: MLflowConnector,
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    data: Dataset = request.getfixturevalue(problem)
    recorder = MemoryRecorder()
    found = run(data, replace(request_, algorithm=algorithm), connector, tmp_path, recorder)
    assert [node.name for node in recorder.nodes] == list(ORDER)
    assert found.checkpoint is not None and found.trained is not None
    assert digest(found.checkpoint.path) == found.checkpoint.digest == found.logged.model_digest

    rows = data.X.head(30)
    served = load_pyfunc(found.checkpoint.path).predict(rows)
    model = found.trained.model
    if data.problem is Problem.REGRESSION:
        assert np.allclose(served, model.predict(rows))
    else:
        assert np.allclose(served, model.predict_proba(rows), atol=1e-6)
        assert np.asarray(served).shape == (30, len(data.classes))


def test_rows_with_a_missing_category_are_served(
    mixed: Dataset, request_: TrainingRequest, connector: MLflowConnector, tmp_path: Path
) -> None:
    found = run(mixed, request_, connector, tmp_path)
    model = load_pyfunc(found.checkpoint.path)
    rows = pd.DataFrame({"size": [0.1, None], "colour": [None, "violet"]})
    assert np.allclose(np.asarray(model.predict(rows)).sum(axis=1), 1)


def test_columns_named_as_made_ones_are_trained_on(
    mixed: Dataset, request_: TrainingRequest, connector: MLflowConnector, tmp_path: Path
) -> None:
    table = mixed.X.assign(colour_red=mixed.X["size"] ** 2, level=mixed.y)
    found = run(build("t", table, Target("level")), request_, connector, tmp_path)
    assert found.preprocessed is not None
    assert len(set(found.preprocessed.columns)) == len(found.preprocessed.columns)


def test_a_rare_class_is_in_the_sample_that_importance_is_measured_on(
    monkeypatch: pytest.MonkeyPatch,
    request_: TrainingRequest,
    connector: MLflowConnector,
    tmp_path: Path,
) -> None:
    monkeypatch.setattr(fit, "IMPORTANCE_ROWS", 2)
    generator = np.random.default_rng(5)
    y = (np.arange(400) % 27 == 0).astype(int)
    frame = pd.DataFrame({"a": generator.normal(size=400) + y, "y": y})
    found = run(build("t", frame, Target("y")), request_, connector, tmp_path)
    assert found.evaluation is not None
    assert np.isfinite(found.evaluation.importance["a"])


def test_a_failure_to_log_is_told_after_the_model_has_been_kept(
    numbers: Dataset,
    request_: TrainingRequest,
    connector: MLflowConnector,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object) -> str:
        raise OSError("no space left on device")

    monkeypatch.setattr(log, "log_training", fail)
    recorder = MemoryRecorder()
    with pytest.raises(OSError, match="no space left"):
        run(numbers, replace(request_, algorithm="Ridge"), connector, tmp_path, recorder)
    outcomes = {node.name: node.note.outcome for node in recorder.nodes}
    assert outcomes["log_to_mlflow"] == "failed"
    assert outcomes["save_checkpoint"] == "succeeded"
    (kept,) = (tmp_path / "checkpoints").iterdir()
    assert digest(kept) == kept.name


def test_who_cancels_a_logged_run_comes_too_late(
    numbers: Dataset, request_: TrainingRequest, connector: MLflowConnector, tmp_path: Path
) -> None:
    class Cancelled(BaseException):
        pass

    class Recorder(MemoryRecorder):
        def raise_if_cancelled(self) -> None:
            if self.nodes and self.nodes[-1].name == "log_to_mlflow":
                raise Cancelled

    ridge = replace(request_, algorithm="Ridge")
    found = run(numbers, ridge, connector, tmp_path, Recorder())
    assert found.checkpoint is not None


def test_the_same_request_gives_the_same_metrics(
    mixed: Dataset, request_: TrainingRequest, connector: MLflowConnector, tmp_path: Path
) -> None:
    results = []
    for name in ("a", "b"):
        folder = tmp_path / name
        asked = replace(
            request_,
            algorithm="LightGBM",
            trials=2,
            storage_url=f"sqlite:///{tmp_path / name}.sqlite3",
            balancing=Balancing.CLASS_WEIGHT,
        )
        other = MLflowConnector(connector.transport.url, folder / "journals")
        found = run(mixed, asked, other, folder)
        results.append((found.evaluation, found.tuning.params, found.splits.digests))
    assert results[0] == results[1]


def test_a_split_that_is_no_longer_the_same_is_not_used(
    numbers: Dataset, request_: TrainingRequest, connector: MLflowConnector, tmp_path: Path
) -> None:
    asked = replace(request_, algorithm="Ridge", split_digests={"train": "other"})
    with pytest.raises(RuntimeError, match="other splits than in an earlier run"):
        run(numbers, asked, connector, tmp_path)


def test_a_selection_says_which_node_ended_it(cancer: Dataset, connector: MLflowConnector) -> None:
    recorder = MemoryRecorder()
    impossible = SelectionRequest(
        "exp", constraints=Constraints(max_latency_ms=1e-6), top=1, folds=2
    )
    found = select(cancer, impossible, recorder, connector, run_name="s", journal_id="s")
    assert found.blocked_by == "select_primary_candidate"
    assert "over the limit" in found.reasons[0]
    assert [node.name for node in recorder.nodes] == list(SELECTOR[:5])
    assert recorder.nodes[-1].note.outcome == "blocked"
    assert connector.pending_journals()[0].ended


def test_nodes_out_of_order_are_refused() -> None:
    with pytest.raises(ValueError, match="load_splits is out of order; check_qc_gate comes next"):
        Steps(ORDER, MemoryRecorder()).run("load_splits", lambda: None)  # type: ignore[arg-type]
