"""Gates on several classes and on numbers, with really fitted models and their answers."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression

from registry.choices import Stage
from registry.models import RegisteredModel, RegistryEntry, TestPredictions
from tests.factories.registry import EntryFactory, ModelFactory
from tests.factories.training import (
    DatasetFactory,
    ExperimentFactory,
    SplitFactory,
    TrainingRunFactory,
)
from tests.registry.gates.conftest import Ask
from training.pipeline import splits
from training.pipeline.data import Dataset, Target, build
from training.pipeline.trainer.evaluate import evaluate
from training.pipeline.types import Problem, Split

pytestmark = [pytest.mark.django_db, pytest.mark.once]

PRIMARY = {Problem.MULTICLASS: "roc_auc_ovr", Problem.REGRESSION: "r2"}


def flowers(rows: int = 1200) -> pd.DataFrame:
    """Three species that size tells apart roughly; `height` follows from size."""
    generator = np.random.default_rng(7)
    size, width = generator.normal(size=(2, rows))
    garden = generator.choice(["north", "south"], size=rows)
    score = size + 0.5 * width + 0.7 * generator.normal(size=rows)
    species = np.select([score < -0.6, score < 0.6], ["alba", "montana"], "rosea")
    return pd.DataFrame(
        {"size": size, "width": width, "garden": garden, "species": species, "height": 10 + score}
    )


class Garden:
    """One question on the flowers, and versions fitted for it."""

    def __init__(self, folder: Path, problem: Problem) -> None:
        target = "species" if problem is Problem.MULTICLASS else "height"
        table = flowers().drop(columns="height" if target == "species" else "species")
        csv = folder / "flowers.csv"
        table.to_csv(csv, index=False)
        self.data: Dataset = build(
            "flowers", pd.read_csv(csv), Target.parse(target), problem=problem
        )
        self.rows = splits.split(self.data)
        self.dataset = DatasetFactory(
            name="flowers", location=str(csv), digest=self.data.digest, target=target,
            problem_type=problem.value,
        )  # fmt: skip
        experiment = ExperimentFactory(dataset=self.dataset, problem_type=problem.value)
        self.model: RegisteredModel = ModelFactory(experiment=experiment, policy_name="flowers")

    def fitted(self, columns: list[str], stage: str = Stage.DEVELOPMENT) -> RegistryEntry:
        """A version that looks at these columns only."""
        train, test = self.rows[Split.TRAIN], self.rows[Split.TEST]
        frame, y = self.data.frame[columns], self.data.y.to_numpy()
        if self.data.problem is Problem.MULTICLASS:
            answers = (
                LogisticRegression()
                .fit(frame.iloc[train], y[train])
                .predict_proba(frame.iloc[test])
            )
        else:
            model = LinearRegression().fit(frame.iloc[train], y[train])
            answers = model.predict(frame.iloc[test]).reshape(-1, 1)
        return self.answering(answers, stage)

    def answering(self, answers: Any, stage: str = Stage.DEVELOPMENT) -> RegistryEntry:
        """A version with these answers on the test rows, kept as a measurement keeps them."""
        run = TrainingRunFactory(
            experiment=self.model.experiment, dataset=self.dataset, threshold=None,
            primary_metric=PRIMARY[self.data.problem], test_metrics=self._claimed(answers),
        )  # fmt: skip
        SplitFactory(
            training_run=run, strategy=self.rows.strategy.value, seed=self.rows.seed,
            sizes=self.rows.sizes, digests=self.rows.digests,
        )  # fmt: skip
        entry: RegistryEntry = EntryFactory(model=self.model, training_run=run, stage=stage)
        TestPredictions.objects.create(
            artifact_digest=entry.artifact_digest, dataset_digest=self.dataset.digest,
            rows_digest=self.rows.digests["test"], rows=answers.shape[0],
            columns=answers.shape[1], values=zlib.compress(answers.astype("<f8").tobytes()),
        )  # fmt: skip
        return entry

    def _claimed(self, answers: Any) -> dict[str, float]:
        truth = self.data.labels(self.rows[Split.TEST])
        if self.data.problem is Problem.REGRESSION:
            return evaluate(self.data.problem, truth, answers[:, 0])
        complete = answers.shape[1] == len(self.data.classes)
        return evaluate(self.data.problem, truth, answers) if complete else {}


def said(results: dict[str, Any]) -> dict[str, str]:
    return {gate_id: f"{each.outcome}: {each.summary}" for gate_id, each in results.items()}


SLICES = {"id": "slices", "columns": ["garden"]}


def test_several_classes(tmp_path: Path, ask: Ask) -> None:
    garden = Garden(tmp_path, Problem.MULTICLASS)
    champion = garden.fitted(["size"], Stage.PRODUCTION)
    better = garden.fitted(["size", "width"])
    good = ask(
        better,
        {"id": "metric", "minimum": {"roc_auc_ovr": 0.8, "f1_weighted": 0.5}},
        {"id": "champion_comparison"},
        {"id": "calibration", "slope_minimum": 0.5, "slope_maximum": 2},
        {**SLICES, "minimum": 0.7},
    )
    assert {each.outcome for each in good.values()} == {"pass"}, said(good)
    assert good["champion_comparison"].evidence["metric"] == "roc_auc_ovr"
    assert good["champion_comparison"].evidence["gain"] > 0
    assert good["calibration"].evidence["slope"]["low"] is not None
    worse = said(
        ask(
            better,
            {"id": "metric", "minimum": {"roc_auc": 0.8}},
            {"id": "champion_comparison", "metric": "r2"},
            {**SLICES, "metric": "positive_rate", "gap": 0.1},
        )
    )
    assert "inconclusive: Not measured for a multiclass problem: roc_auc" in worse["metric"]
    assert "r2 could not be compared; compared are accuracy" in worse["champion_comparison"]
    assert worse["slices"].startswith("inconclusive: A positive rate needs a binary problem")
    labels = garden.answering(np.ones((garden.rows.sizes["test"], 1)))
    found = said(ask(labels, {"id": "metric", "minimum": {"accuracy": 0.1}}))
    assert "answers with 1 numbers a row, not with one probability for each of 3" in found["metric"]
    assert champion.stage == Stage.PRODUCTION


def test_numbers(tmp_path: Path, ask: Ask) -> None:
    garden = Garden(tmp_path, Problem.REGRESSION)
    garden.fitted(["size", "width"], Stage.PRODUCTION)
    worse = garden.fitted(["width"])
    found = ask(
        worse,
        {"id": "metric", "minimum": {"r2": 0.05}, "maximum": {"rmse": 3}},
        {"id": "champion_comparison", "metric": "rmse"},
        {"id": "calibration"},
        {**SLICES, "metric": "mae", "maximum": 0.1},
    )
    assert {name: each.outcome for name, each in found.items()} == {
        "metric": "pass",
        "champion_comparison": "fail",
        "calibration": "inconclusive",
        "slices": "fail",
    }, said(found)
    # A larger error is a loss, although the number grew.
    assert found["champion_comparison"].evidence["gain"] < 0
    assert "this is a regression" in found["calibration"].summary
    other = said(ask(worse, {**SLICES, "metric": "roc_auc", "minimum": 0.5}))
    assert other["slices"].startswith("inconclusive: A regression problem has no roc_auc; it has")
    two = garden.answering(np.ones((garden.rows.sizes["test"], 2)))
    pair = said(ask(two, {"id": "metric", "maximum": {"rmse": 3}}))
    assert "answers with 2 numbers a row, not with one" in pair["metric"]
