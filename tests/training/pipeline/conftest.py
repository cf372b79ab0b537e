"""Small data sets that are quick to fit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from training.pipeline.data import Dataset, Target, breast_cancer_frame, build, load_file

RANDHIE = Path(__file__).parents[3] / "data" / "randhie.csv"


@pytest.fixture(scope="session")
def cancer() -> Dataset:
    return build("breast cancer", breast_cancer_frame(), Target.parse("benign"))


@pytest.fixture(scope="session")
def randhie() -> Dataset:
    return load_file("randhie", RANDHIE, Target.parse("any_visit = mdvis > 0"))


@pytest.fixture(scope="session")
def mixed() -> Dataset:
    """400 rows with numbers, a category, missing values, and three classes."""
    generator = np.random.default_rng(1)
    n = 400
    size = generator.normal(size=n)
    colour = generator.choice(["red", "green", "blue"], size=n)
    level = np.digitize(size + (colour == "red") + generator.normal(scale=0.7, size=n), [-0.3, 0.9])
    size[::17] = np.nan
    frame = pd.DataFrame({"size": size, "colour": colour, "level": level})
    frame.loc[5, "colour"] = None
    return build("mixed", frame, Target.parse("level"))


@pytest.fixture(scope="session")
def numbers() -> Dataset:
    """A regression problem of 400 rows, R² near .8."""
    generator = np.random.default_rng(2)
    X = generator.normal(size=(400, 3))
    y = 3 * X[:, 0] - 2 * X[:, 1] + generator.normal(scale=1.8, size=400)
    return build("numbers", pd.DataFrame(X, columns=list("abc")).assign(y=y), Target.parse("y"))
