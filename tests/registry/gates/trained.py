"""Small models, really trained, saved and registered in the run's MLflow once a session."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd

from registry.choices import Stage
from registry.models import RegisteredModel, RegistryEntry
from tests.deployments.lifecycle import new_name, publish
from tests.factories.registry import EntryFactory, ModelFactory
from tests.factories.training import (
    DatasetFactory,
    ExperimentFactory,
    SplitFactory,
    TrainingRunFactory,
)
from training.pipeline import splits
from training.pipeline.data import Dataset, Target, build
from training.pipeline.imbalance import detect
from training.pipeline.splits import Splits
from training.pipeline.trainer import fit, log
from training.pipeline.trainer.state import Evaluation, TrainingRequest

ROWS = 2400
TARGET = "any_visit = visits > 0"


@dataclass(frozen=True, eq=False)
class Trained:
    """A model as a training leaves it: files in MLflow under a version, and its evaluation."""

    name: str
    version: int
    digest: str
    path: Path
    signature: Mapping[str, Any]
    evaluation: Evaluation
    algorithm: str


@dataclass(frozen=True, eq=False)
class School:
    """All models of the session: versions of one registered model on one data set."""

    csv: Path
    data: Dataset
    splits: Splits
    models: Mapping[str, Trained]

    @property
    def model_name(self) -> str:
        return next(iter(self.models.values())).name


def visits(rows: int = ROWS, seed: int = 1) -> pd.DataFrame:
    """A binary question; `region` has a rare level and `clinic` no influence."""
    generator = np.random.default_rng(seed)
    age, income = generator.normal(size=(2, rows))
    plan = generator.choice(["basic", "full"], size=rows)
    region = generator.choice(["north", "south", "islands"], size=rows, p=[0.5, 0.49, 0.01])
    score = 1.5 * age - income + (plan == "full") + generator.normal(size=rows)
    return pd.DataFrame(
        {"age": age, "income": income, "plan": plan, "region": region, "visits": score}
    )


def teach(folder: Path, mlflow_url: str) -> School:
    """Train and register: good, twin (nearly as good), and poor."""
    csv = folder / "visits.csv"
    visits().to_csv(csv, index=False)
    data = build("visits", pd.read_csv(csv), Target.parse(TARGET))
    rows = splits.split(data)
    name = new_name()
    lessons = {
        "good": ("LogisticRegression", {"C": 1.0}, 0.0),
        "twin": ("LogisticRegression", {"C": 0.05}, 0.0),
        "poor": ("LogisticRegression", {"C": 1.0}, 0.46),
    }
    models = {
        key: _learn(data, rows, folder / key, mlflow_url, name, *lesson)
        for key, lesson in lessons.items()
    }
    return School(csv, data, rows, models)


def _learn(
    data: Dataset,
    rows: Splits,
    folder: Path,
    mlflow_url: str,
    name: str,
    algorithm: str,
    params: dict[str, Any],
    wrong: float,
) -> Trained:
    """`wrong`: the share of training labels that are turned round."""
    folder.mkdir()
    request = TrainingRequest("visits", algorithm, "", "visits")
    found = detect(data, rows, None)
    prepared = fit.fit_preprocessing(data, rows, request)
    resampled = fit.apply_resampling(prepared, found, request)
    turned = np.random.default_rng(3).random(len(resampled.y)) < wrong
    resampled.y[turned] = 1 - resampled.y[turned]
    trained = fit.train_model(data, prepared, resampled, params, request)
    evaluation = fit.evaluate_model(data, rows, trained, request)
    facts = SimpleNamespace(trained=trained, data=data, splits=rows)
    path = log.save(facts, folder)  # type: ignore[arg-type]
    from e2i_site.mlflow_connector import models

    digest = models.digest(path)
    version = int(publish(mlflow_url, name, SimpleNamespace(path=path)))  # type: ignore[arg-type]
    signature = models.read_signature(path)
    return Trained(name, version, digest, path, signature, evaluation, algorithm)


class Classroom:
    """The school's models as rows of the present test's database."""

    def __init__(self, school: School, policy_name: str) -> None:
        self.school = school
        self._dataset = DatasetFactory(
            name="visits",
            location=str(school.csv),
            digest=school.data.digest,
            target=TARGET,
            row_count=len(school.data),
        )
        experiment = ExperimentFactory(dataset=self._dataset)
        self.model: RegisteredModel = ModelFactory(
            name=school.model_name, experiment=experiment, policy_name=policy_name
        )

    def entry(self, key: str, stage: str = Stage.DEVELOPMENT, **facts: Any) -> RegistryEntry:
        """A version with the run, data set and split that made it."""
        taught = self.school.models[key]
        evaluation = taught.evaluation
        run = TrainingRunFactory(
            experiment=self.model.experiment,
            dataset=self._dataset,
            algorithm=taught.algorithm,
            test_metrics=dict(evaluation.metrics["test"]),
            test_samples=self.school.splits.sizes["test"],
            threshold=evaluation.threshold,
            evaluation=evaluation.as_dict(),
            primary_metric=evaluation.primary_metric,
        )
        SplitFactory(
            training_run=run,
            strategy=self.school.splits.strategy.value,
            seed=self.school.splits.seed,
            sizes=self.school.splits.sizes,
            digests=self.school.splits.digests,
        )
        known = {
            "model": self.model,
            "model_version": taught.version,
            "artifact_digest": taught.digest,
            "signature": dict(taught.signature),
            "training_run": run,
            "stage": stage,
            "mlflow_run_id": run.mlflow_run_id,
        }
        return EntryFactory(**{**known, **facts})


def with_changed_file(trained: Trained, mlflow_url: str, folder: Path, content: bytes) -> Trained:
    """Another version whose weights are replaced; its digest is that of the new files."""
    from e2i_site.mlflow_connector import models

    shutil.copytree(trained.path, folder)
    (folder / "model.skops").write_bytes(content)
    version = int(publish(mlflow_url, trained.name, SimpleNamespace(path=folder)))  # type: ignore[arg-type]
    return replace(trained, version=version, digest=models.digest(folder), path=folder)
