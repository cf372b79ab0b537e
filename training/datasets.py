"""From data-set rows to tables, with their digests checked."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from django.conf import settings

from e2i_site.core.errors import InvalidInput
from training.choices import DatasetKind
from training.models import Dataset

if TYPE_CHECKING:
    import pandas as pd

    from training.pipeline.data import Dataset as Table

FOLDER = "datasets"
BUNDLED = {"randhie": "randhie.csv"}
SKLEARN = ("breast_cancer",)


def path_of(kind: str, location: str) -> Path:
    """The file of an imported or shipped data set."""
    if kind == DatasetKind.BUNDLED:
        return Path(settings.BASE_DIR) / "data" / BUNDLED[location]
    return Path(settings.DATA_DIR) / location


def read(kind: str, location: str) -> pd.DataFrame:
    """The raw table. Raises `InvalidInput` when it is not there or cannot be read."""
    from training.pipeline.data import breast_cancer_frame
    from training.pipeline.files import read_table

    if kind == DatasetKind.SKLEARN:
        if location not in SKLEARN:
            raise InvalidInput(f"scikit-learn's data set {location!r} is not known here.")
        return breast_cancer_frame()
    if kind == DatasetKind.BUNDLED and location not in BUNDLED:
        raise InvalidInput(f"No data set {location!r} is shipped with E2I.")
    return read_table(path_of(kind, location))


def load(row: Dataset) -> Table:
    """The data set of this row. Raises `InvalidInput` when its content is no longer the same."""
    from training.pipeline.data import Target, build
    from training.pipeline.types import Problem

    table = build(
        row.name,
        read(row.kind, row.location),
        Target.parse(row.target),
        problem=Problem(row.problem_type),
        group_columns=tuple(row.group_columns),
        time_column=row.time_column,
        source=f"{row.kind}:{row.location}",
    )
    if table.digest != row.digest:
        raise InvalidInput(
            f"Data set {row.name} has changed: its digest is {table.digest[:12]}…, "
            f"{row.digest[:12]}… was imported. Import it again under a new name."
        )
    return table
