"""The quick way to predict gives the answers that MLflow's own way gives."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow.models import Model, infer_signature
from sklearn.linear_model import LogisticRegression

from deployments.gateway import protocol
from deployments.gateway.columns import BadRequest
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


class Largest:
    """The largest of each list; fails on an empty one."""

    def predict(self, rows: pd.DataFrame, params: Any = None) -> list[float]:
        return [max(values) for values in rows["values"]]


@pytest.mark.parametrize(
    ("row", "params", "error", "message"),
    [
        ("text", None, BadRequest, "Expected data to be list or numpy array, got str"),
        ([1.0], {"scale": "much"}, BadRequest, "Invalid parameters found"),
        ([], None, ValueError, "empty"),
    ],
)
def test_what_only_mlflow_checks_is_the_callers_mistake_too(
    row: Any, params: Any, error: type[Exception], message: str
) -> None:
    taken = infer_signature(pd.DataFrame({"values": [[1.0, 2.0]]}), params={"scale": 1.0})
    signature = Signature.from_mlmodel({"signature": taken.to_dict()})
    flavors = {"python_function": {"loader_module": "none"}}
    pyfunc = mlflow.pyfunc.PyFuncModel(Model(flavors=flavors, signature=taken), Largest())
    predict, _ = _choose_path(pyfunc, signature, None)
    document = {"dataframe_records": [{"values": row}], "params": params}
    given = protocol.parse(json.dumps(document).encode(), protocol.JSON, signature)
    with pytest.raises(error, match=message):
        predict(given)
