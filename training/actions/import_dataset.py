"""Bring in a data set: check it, keep its bytes, remember its digest."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from django.conf import settings
from django.core.validators import validate_slug
from django.db import transaction

from e2i_site.core.errors import Conflict, InvalidInput
from e2i_site.trail.record import record
from training import datasets, trail_events
from training.choices import DatasetKind, ProblemType
from training.models import Dataset
from training.policies import may_import_dataset

if TYPE_CHECKING:
    from django.contrib.auth.models import User

    from training.pipeline.data import Dataset as Table


def import_dataset(
    *,
    actor: User | None,
    name: str,
    path: Path,
    target: str,
    problem_type: str = "",
    group_columns: tuple[str, ...] = (),
    time_column: str = "",
    description: str = "",
    provenance: str = "",
) -> Dataset:
    """Import a CSV or Parquet file. `target` is a column, or a rule as in any = visits > 0.

    The same content under the same name is imported once. Raises `Refused`, `InvalidInput`, or
    `Conflict` when it was imported with other groups, time or problem.
    """
    may_import_dataset(actor).enforce()
    suffix = path.suffix.lower()
    if not path.is_file():
        raise InvalidInput(f"{path}: there is no such file.", field="file")
    if suffix not in (".csv", ".parquet", ".pq"):
        raise InvalidInput(f"{path}: only .csv and .parquet files can be read.", field="file")
    kept = _keep(path, suffix)
    return _create(
        actor=actor,
        name=name,
        kind=DatasetKind.FILE,
        location=kept,
        target=target,
        problem_type=problem_type,
        group_columns=group_columns,
        time_column=time_column,
        description=description,
        provenance=provenance or f"Imported from {path.name}.",
    )


def import_shipped(
    *, actor: User | None, name: str, location: str, target: str, description: str = ""
) -> Dataset:
    """Make a data set that E2I ("randhie") or scikit-learn ("breast_cancer") ships available."""
    may_import_dataset(actor).enforce()
    kind = DatasetKind.BUNDLED if location in datasets.BUNDLED else DatasetKind.SKLEARN
    provenance = {
        "randhie": "RAND Health Insurance Experiment, RAND Corporation; public domain. "
        "See data/README.md.",
        "breast_cancer": "Breast Cancer Wisconsin (Diagnostic), UCI; CC BY 4.0.",
    }.get(location, "")
    return _create(
        actor=actor,
        name=name,
        kind=kind,
        location=location,
        target=target,
        description=description,
        provenance=provenance,
    )


def _create(
    *,
    actor: User | None,
    name: str,
    kind: str,
    location: str,
    target: str,
    problem_type: str = "",
    group_columns: tuple[str, ...] = (),
    time_column: str = "",
    description: str = "",
    provenance: str = "",
) -> Dataset:
    _check_names(name, problem_type)
    table = _read(name, kind, location, target, problem_type, group_columns, time_column)
    with transaction.atomic():
        row, created = Dataset.objects.get_or_create(
            name=name,
            digest=table.digest,
            defaults={
                "kind": kind,
                "location": location,
                "target": target,
                "problem_type": table.problem.value,
                "columns": _columns(table),
                "group_columns": list(group_columns),
                "time_column": time_column,
                "row_count": len(table),
                "description": description,
                "provenance": provenance,
                "created_by": actor,
            },
        )
        if created:
            record(
                trail_events.DATASET_IMPORTED,
                actor=actor,
                subject=row,
                new={"digest": row.digest, "rows": row.row_count, "target": row.target},
            )
    _refuse_other_roles(row, table)
    return row


def _refuse_other_roles(row: Dataset, table: Table) -> None:
    """Who imports the same content in another way must not get the first import's rows."""
    stored = (tuple(row.group_columns), row.time_column, row.problem_type)
    if stored == (table.group_columns, table.time_column, table.problem.value):
        return
    groups = f"grouped by {', '.join(row.group_columns)}" if row.group_columns else "not grouped"
    time = f"ordered by {row.time_column}" if row.time_column else "not ordered in time"
    raise Conflict(
        f"{row.name} has this content already: {row.get_problem_type_display().lower()}, {groups}, "
        f"{time}. Import it under another name."
    )


def _check_names(name: str, problem_type: str) -> None:
    from django.core.exceptions import ValidationError

    try:
        validate_slug(name)
    except ValidationError:
        raise InvalidInput(
            f"{name!r} cannot name a data set; use letters, digits, - and _.", field="name"
        ) from None
    if len(name) > 100:
        raise InvalidInput("The name of a data set has at most 100 characters.", field="name")
    if problem_type and problem_type not in ProblemType.values:
        raise InvalidInput(
            f"Problem type {problem_type!r} is unknown; use {', '.join(ProblemType.values)}.",
            field="problem_type",
        )


def _read(
    name: str,
    kind: str,
    location: str,
    target: str,
    problem_type: str,
    group_columns: tuple[str, ...],
    time_column: str,
) -> Table:
    from training.pipeline.data import Target, build
    from training.pipeline.types import Problem

    return build(
        name,
        datasets.read(kind, location),
        Target.parse(target),
        problem=Problem(problem_type) if problem_type else None,
        group_columns=group_columns,
        time_column=time_column,
    )


def _columns(table: Table) -> list[dict[str, object]]:
    found: list[dict[str, object]] = [
        {
            "name": column.name,
            "dtype": column.kind,
            "missing": column.missing,
            "distinct": column.distinct,
            "role": "feature" if column.name in table.features else "",
        }
        for column in table.schema
    ]
    target = {"name": table.target, "dtype": table.problem.value, "role": "target"}
    return [*found, {**target, "missing": 0, "distinct": int(table.y.nunique())}]


def _keep(path: Path, suffix: str) -> str:
    """Copy the file below the data directory, named by its digest; returns where."""
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    location = f"{datasets.FOLDER}/{digest}{suffix}"
    goal = Path(settings.DATA_DIR) / location
    if not goal.exists():
        goal.parent.mkdir(parents=True, exist_ok=True)
        staging = goal.with_name(f".{goal.name}.part")
        shutil.copyfile(path, staging)
        staging.replace(goal)
    return location
