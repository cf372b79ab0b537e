"""No leak, and one served pipeline for raw columns."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.pipeline.algorithms import ALGORITHMS, find, suits
from training.pipeline.data import Dataset, Target, build
from training.pipeline.fitting import fit, predict, prepare, prepared_folds, primary_score
from training.pipeline.framework import UNKNOWN, detect
from training.pipeline.preprocessing import make_preprocessing
from training.pipeline.splits import split
from training.pipeline.types import Problem, Split


@settings(max_examples=10, deadline=None)
@given(st.floats(1e3, 1e6))
def test_what_happens_outside_the_training_rows_changes_no_preprocessing(value: float) -> None:
    generator = np.random.default_rng(0)
    frame = pd.DataFrame({"a": generator.normal(size=300), "y": generator.integers(0, 2, 300)})
    before = build("t", frame, Target("y"))
    splits = split(before)
    train, test = splits[Split.TRAIN], splits[Split.TEST]
    frame.loc[test, "a"] = value
    after = build("t", frame, Target("y"))
    first = prepare(before, train, test, scale=True)
    second = prepare(after, train, test, scale=True)
    assert np.array_equal(first.X_fit, second.X_fit)
    assert first.X_fit.mean() == pytest.approx(0, abs=1e-12)


def test_each_fold_is_prepared_on_its_own_rows(numbers: Dataset) -> None:
    means = [
        prepared.preprocessing.named_transformers_["numbers"]["scale"].mean_.tolist()
        for prepared in prepared_folds(numbers, split(numbers), 3, scale=True)
    ]
    assert len({tuple(mean) for mean in means}) == 3


@pytest.mark.parametrize("name", list(ALGORITHMS))
def test_every_algorithm_learns_and_is_recognised(
    name: str, cancer: Dataset, mixed: Dataset, numbers: Dataset
) -> None:
    for data in (cancer, mixed, numbers):
        if name not in suits(data.problem):
            continue
        splits = split(data)
        algorithm = find(name)
        prepared = prepare(data, splits[Split.TRAIN], splits[Split.TEST], scale=algorithm.scale)
        results = []
        for _ in range(2):
            model = fit(algorithm.make(data.problem, {}), prepared)
            results.append(predict(model, prepared.X_score, data.problem))
        assert np.array_equal(*results), "the same seed gives the same answers"
        assert detect(model) == algorithm.framework
        floor = 0.5 if data.problem is Problem.REGRESSION else 0.7
        assert primary_score(data.problem, prepared.y_score, results[0]) > floor


def test_unseen_categories_and_missing_values_are_served(mixed: Dataset) -> None:
    transformer = make_preprocessing(mixed, scale=False).fit(mixed.X)
    rows = pd.DataFrame({"size": [np.nan, 1.0], "colour": ["violet", None]})
    found = transformer.transform(rows)
    assert np.isfinite(found).all()
    assert found.shape[1] == transformer.transform(mixed.X).shape[1]


def test_frameworks_are_seen_through_wrappers(cancer: Dataset) -> None:
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.ensemble import AdaBoostClassifier
    from sklearn.model_selection import GridSearchCV
    from sklearn.pipeline import Pipeline

    X, y = cancer.X.iloc[:150], cancer.y.iloc[:150]
    boosted = find("LightGBM").make(Problem.BINARY, {"n_estimators": 5})
    search = GridSearchCV(Pipeline([("model", boosted)]), {}, cv=2).fit(X, y)
    assert detect(search) == "lightgbm"
    assert detect(CalibratedClassifierCV(boosted, cv=2).fit(X, y)) == "lightgbm"
    assert detect(AdaBoostClassifier(n_estimators=2).fit(X, y)) == "sklearn"
    assert detect(object()) == UNKNOWN
    assert detect({"framework": "sklearn"}) == UNKNOWN
