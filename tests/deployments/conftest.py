"""Real models, saved once a run as MLflow saves them, in a content-addressed store."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from deployments.store import ArtifactStore
from e2i_site.mlflow_connector import models

# Tests share the cores with servers; how long an example takes says nothing.
settings.register_profile("shared cores", deadline=None)
settings.load_profile("shared cores")


@dataclass(frozen=True)
class SavedModel:
    """A fitted model, where it was saved, and its digest."""

    fitted: Any
    path: Path
    digest: str


@dataclass(frozen=True)
class SavedModels:
    champion: SavedModel
    challenger: SavedModel
    frame: Any

    def body(self, rows: int = 1, start: int = 0) -> bytes:
        """A request for some rows of the data."""
        split = self.frame.iloc[start : start + rows].to_dict("split", index=False)
        return json.dumps({"dataframe_split": split}).encode()


@pytest.fixture(scope="session")
def saved(tmp_path_factory: pytest.TempPathFactory) -> SavedModels:
    """Two classifiers of the same signature."""
    frame, target = load_breast_cancer(return_X_y=True, as_frame=True)
    folder = tmp_path_factory.mktemp("models")
    estimators = {
        "champion": make_pipeline(StandardScaler(), LogisticRegression()),
        "challenger": make_pipeline(StandardScaler(), DecisionTreeClassifier(random_state=42)),
    }
    kept = {}
    for name, estimator in estimators.items():
        fitted = estimator.fit(frame, target)
        path = models.save_model(
            fitted, folder / name, example=frame.head(3), requirements=["scikit-learn"]
        )
        kept[name] = SavedModel(fitted, path, models.digest(path))
    return SavedModels(frame=frame, **kept)


@pytest.fixture
def store(tmp_path: Path, saved: SavedModels) -> Iterator[ArtifactStore]:
    """A store of the test's own that holds both models."""
    import shutil

    store = ArtifactStore(tmp_path / "artifacts")
    for model in (saved.champion, saved.challenger):
        store.fetch(model.digest, lambda target, model=model: shutil.copytree(model.path, target))
    return store
