"""From raw columns to numbers. Fitted on training rows only, and part of the served model."""

from __future__ import annotations

from typing import Any

from training.pipeline.data import Dataset


def make_preprocessing(data: Dataset, *, scale: bool) -> Any:
    """An unfitted transformer: raw feature columns in, a dense matrix of floats out.

    Numbers: median for missing ones (and a column that says so), scaled if `scale`.
    Categories: one column a level seen in training; an unseen level is all zeros.
    """
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    categories = list(data.categories)
    numbers = [name for name in data.features if name not in categories]
    steps: list[tuple[str, Any]] = [
        ("impute", SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True))
    ]
    if scale:
        steps.append(("scale", StandardScaler()))
    parts: list[tuple[str, Any, list[str]]] = []
    if numbers:
        parts.append(("numbers", Pipeline(steps), numbers))
    if categories:
        encoder = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
        parts.append(("categories", encoder, categories))
    return ColumnTransformer(
        parts, sparse_threshold=0.0, verbose_feature_names_out=_may_collide(data)
    )


def _may_collide(data: Dataset) -> bool:
    """Whether a made column, as plan_full of plan, could be named as another column is."""
    made = ("missingindicator_", *(f"{name}_" for name in data.categories))
    return any(name.startswith(made) for name in data.features)
