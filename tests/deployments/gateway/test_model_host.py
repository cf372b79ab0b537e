"""The quick way to predict gives the answers that MLflow's own way gives."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

from deployments.gateway import protocol
from deployments.gateway.model_host import ModelHost
from deployments.store import ArtifactStore
from e2i_site.mlflow_connector import models


@pytest.mark.parametrize("method", ["predict", "predict_proba"])
def test_it_serves_what_the_model_says_it_predicts(method: str, tmp_path: Path) -> None:
    rows = pd.DataFrame({"age": np.linspace(20, 60, 40), "income": np.linspace(1, 9, 40)})
    fitted = LogisticRegression().fit(rows, [0] * 20 + [1] * 20)
    saved = models.save_model(
        fitted,
        tmp_path / "saved",
        example=rows.head(3),
        requirements=["scikit-learn"],
        predict_method=method,
    )
    digest = models.digest(saved)
    store = ArtifactStore(tmp_path / "store")
    shutil.copytree(saved, store.path(digest))
    loaded = ModelHost(store, models.load_pyfunc).load(digest)
    assert loaded.fast
    assert loaded.example is not None
    given = protocol.parse(loaded.example, protocol.JSON, loaded.signature)
    expected = getattr(fitted, method)(rows.head(3))
    np.testing.assert_allclose(loaded.predict(given), expected)
