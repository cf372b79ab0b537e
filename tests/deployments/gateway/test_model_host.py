"""The quick way to predict gives the answers that MLflow's own way gives."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

from deployments.gateway import protocol
from deployments.gateway.model_host import ModelHost, _choose_path
from deployments.gateway.signature import Column, Signature
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


class Several:
    """Answers with an array for every output."""

    def predict(self, rows: pd.DataFrame) -> dict[str, np.ndarray]:
        return {"double": 2 * rows["age"].to_numpy(), "half": rows["age"].to_numpy() / 2}


def test_the_quick_way_is_found_for_several_outputs(tmp_path: Path) -> None:
    rows = pd.DataFrame({"age": [20.0, 60.0]})
    signature = Signature((Column("age", "double"),))
    pyfunc = SimpleNamespace(predict=Several().predict, _predict_fn=Several().predict)
    example = json.dumps({"dataframe_split": rows.to_dict("split", index=False)}).encode()
    _, fast = _choose_path(pyfunc, signature, example)
    assert fast
